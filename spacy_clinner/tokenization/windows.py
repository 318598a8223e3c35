"""Windows for a transformer: broken at line and sentence ends, and never too long for the model.

spaCy's transformer component asks for spans, and silently cuts off what does not fit the model. How
many wordpieces a text has is not known here, but they are never more than its characters (bytes,
once decomposed, outside ASCII). So a window is closed by an estimate of its wordpieces, which fills
windows evenly, or else by that bound, which holds for any text and vocabulary. Our own components
cut windows that do not fit once they know the wordpieces, and need no bound.
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id
from spacy.tokens import Doc, Span

from spacy_clinner.errors import ClinnerError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SpanGetter = Callable[[list[Doc]], list[list[Span]]]

SENTENCE_ENDS = [get_string_id(mark) for mark in (".", "?", "!")]
# No single character decomposes into more bytes than this (see the test that goes through all).
MOST_BYTES = 40
# More wordpieces than any document has.
UNBOUNDED = 2**62


def create_line_windows(
    window: int = 128, max_pieces: int | None = 510, overlap: int = 0
) -> SpanGetter:
    """Create the span getter; registered as `clinner.line_windows.v1`.

    window (int): Wordpieces that a window aims at, by estimate.
    max_pieces (Optional[int]): Wordpieces that no window exceeds, whatever the text: what the
        model takes less its special tokens (512 - 2 for BERT). A window then has at most that
        many characters, too, unless it is one token that is longer. None for no such bound, where
        `clinner.TransformerModel.v1` or `clinner_cpu_encoder` cuts what does not fit.
    overlap (int): Wordpieces, by estimate, that a window repeats of the one before.
    RETURNS (Callable[[List[Doc]], List[List[Span]]]): The windows of each document; none for an
        empty one.
    RAISES (ClinnerError): The numbers do not fit each other.
    """
    if not 0 <= overlap < window or (max_pieces is not None and max_pieces < MOST_BYTES):
        raise ClinnerError(
            "clinner.line_windows.v1 needs 0 <= overlap < window and max_pieces null or >= "
            f"{MOST_BYTES}; got overlap {overlap}, window {window} and max_pieces {max_pieces}."
        )
    return partial(get_line_windows, window=window, max_pieces=max_pieces, overlap=overlap)


def get_line_windows(
    docs: list[Doc], window: int, max_pieces: int | None, overlap: int
) -> list[list[Span]]:
    """The windows of each document; see `create_line_windows`."""
    limit = UNBOUNDED if max_pieces is None else max_pieces
    return [list(_windows(doc, window, limit, overlap)) for doc in docs]


@dataclass(frozen=True)
class _Measures:
    """What windows are cut by: shape (tokens + 1,), or per token where said.

    estimate (NDArray[float64]): Estimated wordpieces before each token.
    bound (Ints): The most wordpieces that may stand before each token.
    breaks (tuple[Ints, ...]): For ends of lines, sentences and words: the last place up to each
        token where one ends.
    """

    estimate: NDArray[np.float64]
    bound: Ints
    breaks: tuple[Ints, ...]


def _windows(doc: Doc, window: int, max_pieces: int, overlap: int) -> Iterator[Span]:
    if not len(doc):
        return
    measures = _measure(doc)
    estimate, bound = measures.estimate, measures.bound
    oversize = bound[1:] - bound[:-1] > max_pieces
    start = done = 0
    while done < len(doc):
        if oversize[done]:
            yield doc[done : done + 1]
            start = done = done + 1
            continue
        limit = _last_within(estimate, start, window, max_pieces, bound)
        if limit <= done:
            start = done
            limit = max(_last_within(estimate, start, window, max_pieces, bound), done + 1)
        end = _choose_end(measures.breaks, start, limit, done, len(doc))
        yield doc[start:end]
        repeat = int(np.searchsorted(estimate, estimate[end] - overlap, side="right")) - 1
        start = end if oversize[repeat:end].any() else max(start + 1, min(repeat, end))
        done = end


def _last_within(
    estimate: NDArray[np.float64], start: int, window: int, max_pieces: int, bound: Ints
) -> int:
    """The last end of a window from `start` that keeps to both budgets."""
    by_estimate = np.searchsorted(estimate, estimate[start] + window, side="right")
    by_bound = np.searchsorted(bound, bound[start] + max_pieces, side="right")
    return int(min(by_estimate, by_bound)) - 1


def _choose_end(breaks: tuple[Ints, ...], start: int, limit: int, done: int, n_tokens: int) -> int:
    if limit == n_tokens:
        return limit
    lines, sentences, words = breaks
    wanted = ((lines, 0.75), (sentences, 0.75), (lines, 0.5), (sentences, 0.5), (words, 0.5))
    for places, filled in wanted:
        if places[limit] > done and places[limit] - start >= filled * (limit - start):
            return int(places[limit])
    return limit


def _measure(doc: Doc) -> _Measures:
    names: list[int | str] = [
        "ORTH",
        "LENGTH",
        "IS_SPACE",
        "IS_ALPHA",
        "IS_DIGIT",
        "IS_ASCII",
        "SPACY",
    ]
    orth, length, is_space, is_alpha, is_digit, is_ascii, has_space = doc.to_array(names).T
    is_space, has_space = is_space.astype(bool), has_space.astype(bool)
    bound = length.astype(np.int64)
    for at in np.flatnonzero(is_ascii == 0).tolist():
        bound[at] = most_pieces(doc[at].text)
    # Fitted on English notes: a word has one piece, and more the longer it is.
    estimate = np.where(is_alpha == 1, 1.0 + 0.3 * np.maximum(0.0, bound - 6.0), 0.7 * bound)
    estimate = np.where(is_digit == 1, 0.25 * bound, estimate)
    estimate = np.where(is_space, 0.0, np.maximum(1.0, estimate))
    spaces = np.flatnonzero(is_space).tolist()
    line_end = np.zeros(len(doc), dtype=bool)
    line_end[[at for at in spaces if "\n" in doc[at].text]] = True
    word_end = has_space | is_space
    word_end[:-1] |= is_space[1:]
    sentence_end = np.isin(orth, np.array(SENTENCE_ENDS, dtype=orth.dtype)) & word_end
    if doc.has_annotation("SENT_START"):
        sentence_end[:-1] |= doc.to_array("SENT_START")[1:] == 1
    return _Measures(
        np.concatenate([[0.0], np.cumsum(estimate)]),
        np.concatenate([[0], np.cumsum(bound)]),
        tuple(_last_break(ends) for ends in (line_end, sentence_end, word_end)),
    )


def _last_break(ends: Bools) -> Ints:
    places = np.where(ends, np.arange(1, len(ends) + 1), 0)
    return np.concatenate([[0], np.maximum.accumulate(places)])


def most_pieces(text: str) -> int:
    """The most wordpieces that any tokenizer makes of a text.

    text (str): The text.
    RETURNS (int): Its characters; outside ASCII the bytes of its decomposition, as tokenizers may
        normalise and then fall back to bytes, and one more for a mark of the space before it.
    """
    if text.isascii():
        return len(text)
    return len(unicodedata.normalize("NFKD", text).encode("utf8", "surrogatepass")) + 1
