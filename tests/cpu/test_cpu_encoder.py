import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from thinc.api import set_current_ops
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


def test_settings_that_are_changed_are_saved_and_follow_into_bytes_and_pickle(edition, tmp_path):
    nlp, other = spacy.load(edition), spacy.load(edition)
    encoder = nlp.get_pipe("transformer")
    encoder.threads, encoder.batch_pieces = 1, 512
    nlp.to_disk(tmp_path / "model")
    copies = [spacy.load(tmp_path / "model"), other.from_bytes(nlp.to_bytes())]
    for copy in (*copies, pickle.loads(pickle.dumps(nlp))):
        copied = copy.get_pipe("transformer")
        assert (copied.threads, copied.batch_pieces) == (1, 512)
        assert copy.get_pipe_config("transformer")["batch_pieces"] == 512


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


class Fails(RuntimeError):
    pass


def then_fails(docs):
    yield from docs
    raise Fails


def failing_on(word, get_spans):
    def fail(docs):
        if any(word in doc.text for doc in docs):
            raise RuntimeError("cannot read this")
        return get_spans(docs)

    return fail


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 100])
def test_what_a_failing_source_gave_before_is_not_lost(nlp, batch_size):
    encoder = nlp.get_pipe("transformer")
    stream = encoder.pipe(
        then_fails([nlp.make_doc(f"fever {n}") for n in range(5)]), batch_size=batch_size
    )
    found = []
    with pytest.raises(Fails):
        found.extend(doc.text for doc in stream)
    # `extend` keeps what it got before the failure.
    assert found == [f"fever {n}" for n in range(5)]


def test_a_first_document_comes_before_a_second_batch_is_read(nlp):
    read = []

    def source():
        for number in range(6):
            read.append(number)
            yield nlp.make_doc("no fever")

    stream = nlp.get_pipe("transformer").pipe(source(), batch_size=2)
    next(stream)
    assert read == [0, 1]
    next(stream)
    assert read == [0, 1, 2, 3]
    assert len(list(stream)) == 4


def test_a_document_that_fails_costs_its_batch_nothing_else(edition):
    nlp = spacy.load(edition)
    encoder = nlp.get_pipe("transformer")
    encoder.get_spans = failing_on("bad", encoder.get_spans)
    texts = [f"{'bad' if n in (3, 11) else 'fever'} {n}" for n in range(16)]
    seen = []
    nlp.set_error_handler(lambda *failure: seen.extend(doc.text for doc in failure[2]))
    found = [doc.text for doc in nlp.pipe(texts, batch_size=16)]
    assert seen == ["bad 3", "bad 11"]
    assert found == [text for text in texts if text not in seen]


def test_documents_before_one_that_fails_come_before_the_error(edition):
    nlp = spacy.load(edition, disable=["ner", "clinner_drop_vectors"])
    encoder = nlp.get_pipe("transformer")
    encoder.get_spans = failing_on("bad", encoder.get_spans)
    found = []
    with pytest.raises(RuntimeError, match="cannot read"):
        found.extend(doc.text for doc in nlp.pipe(["a", "b", "bad", "c"], batch_size=2))
    assert found == ["a", "b"]


def test_threads_that_come_first_share_one_session(edition, monkeypatch):
    import threading

    from spacy_clinner.cpu import encoder as module

    made = []

    class Counted(module.Session):
        def __init__(self, *arguments, **options):
            made.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(module, "Session", Counted)
    nlp = spacy.load(edition)
    barrier, results = threading.Barrier(4), []

    def first():
        barrier.wait()
        results.append(found_in(nlp(make_text(1))))

    threads = [threading.Thread(target=first) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert results == [found_in(nlp(make_text(1)))] * 4


def test_heads_on_another_device_get_vectors_there(edition):
    from thinc.api import NumpyOps, use_ops

    class Elsewhere(np.ndarray):
        pass

    class OtherOps(NumpyOps):
        """A device whose arrays are of its own kind, as CuPy's are."""

        name = "other"

        def asarray(self, data, dtype=None):
            return super().asarray(data, dtype=dtype).view(Elsewhere)

    expected = found_in(spacy.load(edition)(make_text(1)))
    # What `spacy.prefer_gpu()` does where there is one.
    with use_ops("numpy"):
        set_current_ops(OtherOps(device_type="gpu"))
        nlp = spacy.load(edition, disable=["clinner_drop_vectors"])
        doc = nlp(make_text(1))
    assert isinstance(doc.tensor, Elsewhere)
    assert found_in(doc) == expected
