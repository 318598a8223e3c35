import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_pipelines import PIECES

from spacy_clinner.cpu.batches import make_batches
from spacy_clinner.tokenization.windows import create_line_windows
from spacy_clinner.tokenization.wordpieces import cut_windows

tokenizers = pytest.importorskip("tokenizers")

TEXTS = st.text(st.sampled_from("abz019 .,/()\n\té字\u00adﬁI\u0307"), max_size=120)
LISTS_OF_TEXTS = st.lists(TEXTS, min_size=1, max_size=5)


@pytest.fixture(scope="module")
def tokenizer():
    """A wordpiece tokenizer as BERT has it."""
    vocabulary = {piece: at for at, piece in enumerate(PIECES)}
    made = tokenizers.implementations.BertWordPieceTokenizer(vocab=vocabulary)
    return made._tokenizer


def windows_of(docs, overlap=0):
    spans = create_line_windows(window=20, max_pieces=62, overlap=overlap)(docs)
    windows, row = [], 0
    for doc, found in zip(docs, spans, strict=True):
        windows += cut_windows(doc, found, row)
        row += len(doc)
    return [span for found in spans for span in found], windows


def number(ids, place):
    """A number for a wordpiece in its window, the same in whichever batch the window stands."""
    return hash((tuple(ids), place)) % 100_003


@given(texts=LISTS_OF_TEXTS, overlap=st.sampled_from([0, 6]))
def test_wordpieces_belong_to_the_tokens_that_spacy_transformers_gives_them_to(
    tokenizer, blank_nlp, texts, overlap
):
    align = pytest.importorskip("spacy_transformers.align")
    docs = [doc for doc in map(blank_nlp.make_doc, texts) if len(doc)]
    spans, windows = windows_of(docs, overlap)
    if not spans:
        return
    encodings = [tokenizer.encode(span.text) for span in spans]
    offsets = np.zeros((len(spans), max(len(e.ids) for e in encodings), 2), dtype=np.int64)
    numbers = np.zeros(offsets.shape[:2])
    for at, encoding in enumerate(encodings):
        n_pieces = len(encoding.ids)
        offsets[at, :n_pieces] = encoding.offsets
        numbers[at, :n_pieces] = [number(encoding.ids, place) for place in range(n_pieces)]
    wanted = align.get_alignment_via_offset_mapping(spans, offsets)
    expected = np.zeros(len(wanted.lengths))
    aligned = np.repeat(np.arange(len(expected)), wanted.lengths)
    np.add.at(expected, aligned, numbers.ravel()[wanted.dataXd])

    sums, counts = np.zeros(len(expected)), np.zeros(len(expected), dtype=int)
    for batch in make_batches(windows, tokenizer, 64, 256):
        values = np.zeros(batch.ids.shape)
        for row, ids, mask in zip(values, batch.ids, batch.mask, strict=True):
            kept = ids[mask == 1].tolist()
            row[: len(kept)] = [number(kept, place) for place in range(len(kept))]
        sums[batch.rows] += batch.pool(values[..., None])[:, 0]
        counts[batch.rows] += batch.n_pieces()
    assert counts.tolist() == wanted.lengths.tolist()
    assert sums.tolist() == expected.tolist()


@given(texts=LISTS_OF_TEXTS, budget=st.integers(8, 400))
def test_each_window_is_in_one_batch_and_no_batch_exceeds_its_budget(
    tokenizer, blank_nlp, texts, budget
):
    _, windows = windows_of(list(map(blank_nlp.make_doc, texts)))
    batches = list(make_batches(windows, tokenizer, 64, budget))
    assert all(batch.ids.size <= budget or len(batch.ids) == 1 for batch in batches)
    rows = [(i, m) for b in batches for i, m in zip(b.ids, b.mask, strict=True)]
    packed = sorted(tuple(ids[mask == 1].tolist()) for ids, mask in rows)
    assert packed == sorted(tuple(tokenizer.encode(window.text).ids) for window in windows)
    assert not any(ids[mask == 0].any() for ids, mask in rows)


@given(texts=LISTS_OF_TEXTS)
def test_a_window_is_as_wide_in_a_batch_with_others_as_alone(tokenizer, blank_nlp, texts):
    docs = list(map(blank_nlp.make_doc, texts))

    def widths(docs):
        batches = make_batches(windows_of(docs)[1], tokenizer, 64, 256)
        return sorted((ids[mask == 1].tolist(), len(ids))
                      for batch in batches
                      for ids, mask in zip(batch.ids, batch.mask, strict=True))  # fmt: skip

    alone = sorted(found for doc in docs for found in widths([doc]))
    assert widths(docs) == alone


def test_a_window_that_is_too_long_for_the_encoder_is_cut_in_two(tokenizer, blank_nlp):
    _, windows = windows_of([blank_nlp.make_doc("a b c d e f g h")])
    batches = list(make_batches(windows, tokenizer, 5, 256))
    assert sum(batch.mask.sum() for batch in batches) == 8 + 2 * 4
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == list(range(8))


def test_token_vectors_are_sums_over_their_wordpieces(tokenizer, blank_nlp):
    _, windows = windows_of([blank_nlp.make_doc("a bcd e")])
    (batch,) = make_batches(windows, tokenizer, 64, 256)
    hidden = np.arange(batch.ids.size, dtype="f").reshape(1, -1, 1)
    assert batch.pool(hidden)[:, 0].tolist() == [1.0, 2.0 + 3.0 + 4.0, 5.0]
    assert batch.n_pieces().tolist() == [1, 3, 1]
