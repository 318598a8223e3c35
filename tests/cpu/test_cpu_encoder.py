import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from tiny_pipelines import blank, found_in, make_text

from spacy_clinner.errors import ClinnerError

# Between elements of the order of 1, computed in float32.
TOLERANCE = 1e-4
TEXTS = [
    "",
    make_text(1),
    " \n ",
    "no fever\u00a0é 10mg/daily, q.d.\n\n\tdenies cough",
    "xyz" * 100,
    make_text(2, 400),
    "cough",
]


@pytest.fixture(scope="module")
def nlp(edition):
    """The CPU edition, which keeps the vectors."""
    return spacy.load(edition, disable=["clinner_drop_vectors"])


@pytest.fixture(scope="module")
def torch_nlp(trained):
    """The pipeline that it was made from."""
    return spacy.load(trained)


def same_vectors(ours, theirs):
    return ours.shape == theirs.shape and np.allclose(ours, theirs, atol=TOLERANCE)


def test_vectors_and_entities_are_those_of_the_torch_edition(nlp, torch_nlp):
    listener = torch_nlp.get_pipe("ner").model.get_ref("tok2vec")
    expected = list(torch_nlp.pipe(TEXTS))
    docs = list(nlp.pipe(TEXTS))
    for doc, reference, vectors in zip(docs, expected, listener.predict(expected), strict=True):
        assert len(doc) == 0 or same_vectors(doc.tensor, vectors)
        assert found_in(doc) == found_in(reference)
    assert any(doc.ents for doc in docs)
    assert any(doc.spans["modifiers"] for doc in docs)


def test_a_token_without_wordpieces_has_a_vector_of_zeros(nlp):
    doc = nlp("fever \n pain")
    spaces = [token.is_space for token in doc]
    assert [not row.any() for row in doc.tensor] == spaces
    assert any(spaces)


def test_vectors_do_not_depend_on_what_else_is_in_the_batch(nlp):
    alone = [nlp(text).tensor for text in TEXTS]
    for batch_size in (1, 3, 100):
        docs = nlp.pipe(TEXTS, batch_size=batch_size)
        assert all(same_vectors(doc.tensor, v) for doc, v in zip(docs, alone, strict=True))
    encoder = nlp.get_pipe("transformer")
    encoder.batch_pieces, usual = 64, encoder.batch_pieces
    docs = nlp.pipe(TEXTS)
    assert all(same_vectors(doc.tensor, v) for doc, v in zip(docs, alone, strict=True))
    encoder.batch_pieces = usual


def test_documents_come_in_order_and_none_is_lost(nlp):
    texts = [f"{number} {make_text(number, 5)}" for number in range(23)]
    docs = list(nlp.pipe(texts, batch_size=4))
    assert [doc.text for doc in docs] == texts
    assert all(doc.tensor.shape == (len(doc), 32) for doc in docs)
    assert list(nlp.pipe([])) == []


def test_a_document_that_is_kept_does_not_keep_the_vectors_of_others(nlp):
    docs = list(nlp.pipe(["no fever", make_text(1, 2000)]))
    assert docs[0].tensor.base is None


def test_one_long_document_is_read_in_windows_to_its_end(nlp):
    doc = nlp(make_text(3, 20_000))
    assert len(doc.text) > 100_000
    assert all(doc.tensor[token.i].any() for token in doc[-50:] if not token.is_space)


def test_the_edition_survives_bytes_and_pickle(nlp):
    texts = [text for text in TEXTS if text]
    expected = [found_in(doc) for doc in nlp.pipe(texts)]
    copies = [
        pickle.loads(pickle.dumps(nlp)),
        blank().from_config(nlp.config).from_bytes(nlp.to_bytes()),
    ]
    for copy in copies:
        assert [found_in(doc) for doc in copy.pipe(texts)] == expected


def test_processes_started_after_the_session_has_run_do_not_hang(nlp):
    texts = [make_text(seed, 20) for seed in range(12)]
    expected = [found_in(nlp(text)) for text in texts]
    for _ in range(2):
        docs = list(nlp.pipe(texts, n_process=2, batch_size=3))
        assert [found_in(doc) for doc in docs] == expected
        assert found_in(nlp(texts[0])) == expected[0]


def test_a_memory_zone_frees_what_was_read_in_it(nlp):
    with nlp.memory_zone():
        docs = list(nlp.pipe(TEXTS, batch_size=2))
        assert [doc.text for doc in docs] == TEXTS
        del docs
    assert nlp("no fever").tensor.any()


def test_threads_are_set_when_a_pipeline_is_loaded(edition):
    config = {"components": {"transformer": {"threads": 1, "batch_pieces": 64}}}
    nlp = spacy.load(edition, config=config)
    assert nlp.get_pipe("transformer").threads == 1
    assert found_in(nlp(make_text(1))) == found_in(spacy.load(edition)(make_text(1)))


def test_vectors_are_dropped_once_the_heads_have_read_them(edition):
    nlp = spacy.load(edition)
    docs = list(nlp.pipe([make_text(1), ""]))
    assert [doc.tensor.size for doc in docs] == [0, 0]
    assert docs[0].ents
    for doc in (Doc.from_docs(docs), docs[0][:].as_doc()):
        assert len(doc.ents) == len(docs[0].ents)
    (doc, _) = DocBin(docs=docs, store_user_data=True).get_docs(nlp.vocab)
    assert found_in(doc)[0][0] == "ents"


def test_a_component_added_by_hand_says_how_it_is_made():
    nlp = blank()
    nlp.add_pipe("clinner_cpu_encoder")
    with pytest.raises(ClinnerError, match="clinner optimize"):
        nlp("no fever")
    with pytest.raises(ClinnerError, match="clinner optimize"):
        nlp.to_bytes()


def test_an_error_goes_to_the_error_handler_and_other_batches_go_on(edition):
    nlp = spacy.load(edition)
    encoder = nlp.get_pipe("transformer")
    get_spans, seen = encoder.get_spans, []

    def fails_on_fever(docs):
        if any("fever" in doc.text for doc in docs):
            raise RuntimeError("cannot read this")
        return get_spans(docs)

    encoder.get_spans = fails_on_fever
    with pytest.raises(RuntimeError, match="cannot read"):
        list(nlp.pipe(["cough", "fever"]))
    nlp.set_error_handler(lambda *failure: seen.extend(failure[2]))
    found = list(nlp.pipe(["cough", "fever", "pain"], batch_size=1))
    assert [doc.text for doc in found] == ["cough", "pain"]
    assert [doc.text for doc in seen] == ["fever"]
