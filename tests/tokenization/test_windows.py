import sys
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tokenization.windows import (
    MOST_BYTES,
    create_line_windows,
    most_pieces,
)

NLP = spacy.blank("en")


def texts(doc, **settings_):
    return [span.text for span in create_line_windows(**settings_)([doc])[0]]


def test_windows_cover_every_token_once_and_in_order():
    doc = NLP("Chest pain since Monday. No fever.\n" * 80)
    spans = create_line_windows(window=50)([doc])[0]
    assert [token.i for span in spans for token in span] == list(range(len(doc)))
    assert len(spans) > 5


def test_windows_break_at_line_ends():
    doc = NLP("\n".join(f"{n}. Metoprolol 25 mg PO daily for rate control" for n in range(60)))
    spans = create_line_windows(window=64)([doc])[0]
    assert all("\n" in span[-1].text for span in spans[:-1])


def test_windows_break_at_sentence_ends_where_there_are_no_lines():
    doc = NLP("The patient denies chest pain and dyspnea at rest. " * 60)
    assert all(text.endswith(".") for text in texts(doc, window=64))


def test_windows_break_between_words_where_there_are_no_sentences():
    doc = NLP("seen for follow up of BP 120/80mmHg and HR 88-92/min today " * 60)
    spans = create_line_windows(window=64)([doc])[0]
    assert all(span[-1].whitespace_ for span in spans[:-1])


def test_known_sentence_starts_are_used():
    doc = NLP("one two three four five six seven eight nine ten " * 20)
    for token in doc:
        token.is_sent_start = token.text == "one"
    assert all(text.startswith("one") for text in texts(doc, window=45))


def test_an_empty_document_has_no_windows():
    assert create_line_windows()([NLP(""), NLP("a")])[0] == []


def test_a_token_too_long_for_any_window_comes_alone():
    doc = NLP(f"see {'QmFzZTY0' * 700} above")
    spans = create_line_windows(window=128, max_pieces=510)([doc])[0]
    assert [(span.start, span.end) for span in spans] == [(0, 1), (1, 2), (2, 3)]


def test_windows_without_a_bound_are_closed_by_the_estimate_alone():
    doc = NLP("The patient denies chest pain and dyspnea at rest. " * 60)
    bounded, unbounded = (
        create_line_windows(window=256, max_pieces=max_pieces)([doc])[0]
        for max_pieces in (510, None)
    )
    assert max(len(span.text.replace(" ", "")) for span in bounded) <= 510
    assert min(len(span.text) for span in unbounded[:-1]) > 1000
    assert [token.i for span in unbounded for token in span] == list(range(len(doc)))


def test_overlapping_windows_repeat_the_end_of_the_one_before():
    doc = NLP("the patient was seen today and had no pain at all " * 30)
    spans = create_line_windows(window=64, overlap=16)([doc])[0]
    shared = [left.end - right.start for left, right in pairwise(spans)]
    assert all(10 <= tokens <= 17 for tokens in shared)
    assert spans[0].start == 0
    assert spans[-1].end == len(doc)


@settings(max_examples=300)
@given(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab .\n-\u00b5")),
            max_size=600),
    st.integers(1, 60), st.integers(0, 40),
)  # fmt: skip
def test_no_window_exceeds_the_bound_and_no_token_is_left_out(text, window, overlap):
    doc = NLP.make_doc(text)
    overlap = min(overlap, window - 1)
    spans = create_line_windows(window=window, max_pieces=MOST_BYTES, overlap=overlap)([doc])[0]
    covered = sorted({token.i for span in spans for token in span})
    assert covered == list(range(len(doc)))
    for span in (span for span in spans if len(span) > 1):
        assert most_pieces(span.text) <= MOST_BYTES + len(span) + 1  # spaces between tokens
        assert sum(most_pieces(token.text) for token in span) <= MOST_BYTES


def test_no_character_has_more_bytes_than_the_smallest_allowed_window():
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    most = max(
        len(unicodedata.normalize("NFKD", c).encode()) + 1
        for c in characters
        if unicodedata.category(c) != "Cs"
    )
    assert most <= MOST_BYTES


@pytest.mark.parametrize(
    "settings_", [{"window": 64, "overlap": 64}, {"max_pieces": 4}, {"overlap": -1}]
)
def test_numbers_that_do_not_fit_each_other_are_refused(settings_):
    with pytest.raises(ClinnerError, match="line_windows"):
        create_line_windows(**settings_)


# With a real transformer.

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:-/()?!\u00b5"
WORDS = ["chest", "pain", "no", "fever", "##s", "the", "patient"]


@pytest.fixture(
    scope="module",
    params=[("spacy-transformers.TransformerModel.v3", 62), ("clinner.TransformerModel.v1", None)],
    ids=["bounded", "cut where they do not fit"],
)
def transformer(tmp_path_factory, request):
    """A pipeline with a tiny BERT of random weights that takes 64 wordpieces."""
    architecture, max_pieces = request.param
    torch = pytest.importorskip("torch")
    pytest.importorskip("spacy_transformers")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    pieces += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    nlp = spacy.blank("en")
    spans = {"@span_getters": "clinner.line_windows.v1", "window": 24,
             "max_pieces": max_pieces}  # fmt: skip
    model = {"@architectures": architecture, "name": str(folder),
             "get_spans": spans, "tokenizer_config": {"use_fast": True}}  # fmt: skip
    nlp.add_pipe("transformer", config={"model": model})
    nlp.initialize()
    return nlp


def has_pieces(nlp, token):
    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    return bool(tokenizer(token.text, add_special_tokens=False)["input_ids"])


def check_every_token_has_its_pieces(nlp, docs):
    for doc in docs:
        if not len(doc):
            continue
        data = doc._.trf_data
        assert len(data.align.lengths) == len(doc)
        assert data.wordpieces.input_ids.shape[1] <= 64
        wanted = np.array([has_pieces(nlp, token) for token in doc])
        assert (data.align.lengths[wanted] > 0).all()
        # Nothing was cut: every piece that is not special belongs to some token.
        special = np.isin(data.wordpieces.input_ids, nlp.get_pipe("transformer").model
                          .tokenizer.all_special_ids)  # fmt: skip
        unk = data.wordpieces.input_ids == 1
        aligned = np.zeros(special.size, dtype=bool)
        aligned[data.align.dataXd.ravel()] = True
        assert aligned[(~special | unk).ravel()].all()
        last = (data.wordpieces.attention_mask.sum(axis=1) - 1).astype(int)
        rows = np.arange(len(last))
        # Each window ends in [SEP]; of a token that fills one spaCy's own model cuts it off.
        full = (last == 63) & (len(last) == len(doc))
        assert ((data.wordpieces.input_ids[rows, last] == 3) | full).all()


@settings(max_examples=60)
@given(
    st.lists(
        st.text(
            st.one_of(
                st.characters(exclude_categories=["Cs", "Cc"]),
                st.sampled_from(LETTERS + " \n\t"),
            ),
            max_size=300,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_every_token_that_has_a_wordpiece_gets_a_vector_whatever_the_text(transformer, raw):
    docs = list(transformer.pipe(raw))
    check_every_token_has_its_pieces(transformer, docs)


@pytest.mark.parametrize(
    "text",
    [
        "a/b+" * 1250,
        "no pain " * 2000,
        "x" * 5000,
        ".-" * 700,
        "\ud55c\uae00" * 300,
        "\ufdfa" * 80,
        " \n" * 500,
        "see " + "a-b" * 200 + " above.\n" + "\u00b5" * 200,
    ],
)
def test_no_wordpiece_is_lost_in_pathological_text(transformer, text):
    check_every_token_has_its_pieces(transformer, list(transformer.pipe([text, "chest pain"])))


def test_of_a_token_too_long_for_any_window_the_beginning_is_read(transformer):
    # Punctuation makes a piece of each character; the token is kept whole.
    from spacy.tokens import Doc

    doc = Doc(transformer.vocab, words=["pain", "a-" * 200, "no"])
    doc = transformer(doc)
    first, long, last = doc._.trf_data.align.lengths.tolist()
    assert (first, last) == (1, 1)
    assert 24 <= long <= 64


def test_the_span_getter_survives_saving_and_loading(transformer, tmp_path):
    transformer.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    check_every_token_has_its_pieces(loaded, [loaded("no chest pain. " * 100)])
