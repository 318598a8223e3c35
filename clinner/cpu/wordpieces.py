"""From windows of documents to batches of wordpieces, and from their vectors to tokens' vectors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from clinner.tokenization.windows import TokenPart

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

# Few different shapes: the runtime prepares each one that it meets.
LENGTH_MULTIPLE = 8


@dataclass(frozen=True)
class Window:
    """One sequence for the encoder.

    text (str): Its text.
    starts (Ints): Where its tokens start, in characters into the text; the first at 0.
    row (int): The row of its first token in the vectors of all documents.
    """

    text: str
    starts: Ints
    row: int


@dataclass(frozen=True)
class WordpieceBatch:
    """Windows of similar length, and which wordpiece belongs to which token.

    ids (Ints): Wordpiece ids, shape (windows, length), padded with zeros.
    mask (Ints): 1 for a wordpiece and 0 for padding, same shape.
    pieces (Ints): For each pair of a token and one of its wordpieces the wordpiece's place in the
        flattened batch; sorted by token.
    first (Ints): For each token the place of its first pair.
    rows (Ints): For each token its row in the vectors of all documents, ascending.
    """

    ids: Ints
    mask: Ints
    pieces: Ints
    first: Ints
    rows: Ints

    def pool(self, hidden: Floats) -> Floats:
        """Sum the vectors of each token's wordpieces.

        hidden (NDArray[float32]): Shape (windows, length, width).
        RETURNS (NDArray[float32]): One row for each of `rows`, shape (rows, width).
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        n_pieces = self.n_pieces()
        sums = flat[self.pieces[self.first]]
        # Most tokens have one piece. (`np.add.reduceat` over all takes four times as long.)
        for nth in range(1, int(n_pieces.max(initial=0))):
            more = np.flatnonzero(n_pieces > nth)
            sums[more] += flat[self.pieces[self.first[more] + nth]]
        return sums

    def n_pieces(self) -> Ints:
        """RETURNS (Ints): The number of wordpieces of each token in `rows`."""
        return np.diff(self.first, append=len(self.pieces))


def cut_windows(doc: Doc, spans: Sequence[Span], row: int) -> list[Window]:
    """Read off what the encoder needs to know of a document's windows.

    doc (Doc): The document.
    spans (Sequence[Span]): Its windows, from a span getter.
    row (int): The row of the document's first token in the vectors of all documents.
    RETURNS (List[Window]): One for each span.
    """
    text, starts = doc.text, doc.to_array("IDX").astype(np.int64)
    windows = []
    for span in spans:
        if isinstance(span, TokenPart):
            windows.append(Window(span.text, np.zeros(1, dtype=np.int64), row + span.start))
            continue
        first = int(starts[span.start])
        last = span.end - 1
        end = int(starts[last]) + len(doc[last])
        within = starts[span.start : span.end] - first
        windows.append(Window(text[first:end], within, row + span.start))
    return windows


def make_batches(
    windows: Sequence[Window], tokenizer: "Tokenizer", max_length: int, batch_pieces: int
) -> Iterator[WordpieceBatch]:
    """Cut windows into wordpieces and pack them, the longest first.

    A wordpiece belongs to every token that it shares a character with, as in spacy-transformers.
    (Cutting the words one by one would not do: "10mg" is two tokens but one word to BERT, and its
    wordpieces are "10" and "##mg".)

    windows (Sequence[Window]): Windows, of any documents.
    tokenizer (Tokenizer): Without truncation and padding.
    max_length (int): Wordpieces that the encoder takes; the rest of a longer window is cut off.
    batch_pieces (int): Wordpieces in a batch, padding included; a longer window stands alone.
    YIELDS (WordpieceBatch): The batches.
    """
    if not windows:
        return
    encodings = [tokenizer.encode(window.text) for window in windows]
    lengths = np.array([min(len(e.ids), max_length) for e in encodings], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    windows = [windows[at] for at in order.tolist()]
    encodings = [encodings[at] for at in order.tolist()]
    ids = np.concatenate([np.array(e.ids[:max_length], dtype=np.int64) for e in encodings])
    pair_pieces, pair_rows = _align(windows, encodings, lengths)
    piece_ends = np.concatenate([[0], np.cumsum(lengths)])
    start = 0
    while start < len(lengths):
        width = -(-int(lengths[start]) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
        end = min(start + max(1, batch_pieces // width), len(lengths))
        mask = np.arange(width) < lengths[start:end, None]
        padded = np.zeros(mask.shape, dtype=np.int64)
        padded[mask] = ids[piece_ends[start] : piece_ends[end]]
        low, high = np.searchsorted(pair_pieces, (piece_ends[start], piece_ends[end]))
        places = np.flatnonzero(mask)[pair_pieces[low:high] - piece_ends[start]]
        by_row = np.argsort(pair_rows[low:high], kind="stable")
        rows, first = np.unique(pair_rows[low:high][by_row], return_index=True)
        yield WordpieceBatch(padded, mask.astype(np.int64), places[by_row], first, rows)
        start = end


def _align(
    windows: Sequence[Window], encodings: "Sequence[Encoding]", lengths: Ints
) -> tuple[Ints, Ints]:
    """Pair wordpieces, by place in the sequence of all, with the rows of their tokens."""
    n_tokens = np.array([len(window.starts) for window in windows], dtype=np.int64)
    # All texts in one line of characters, with one to spare between them.
    sizes = np.array([len(window.text) + 1 for window in windows], dtype=np.int64)
    base = np.cumsum(sizes) - sizes
    starts = np.concatenate([window.starts for window in windows]) + np.repeat(base, n_tokens)
    first_row = np.array([window.row for window in windows], dtype=np.int64)
    rows = np.repeat(first_row - (np.cumsum(n_tokens) - n_tokens), n_tokens)
    rows += np.arange(len(rows))
    kept = zip(encodings, lengths.tolist(), strict=True)
    offsets = np.array([pair for e, n in kept for pair in e.offsets[:n]], dtype=np.int64)
    # Special tokens have no characters.
    pieces = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    begin, end = (offsets + np.repeat(base, lengths)[:, None])[pieces].T
    first = np.searchsorted(starts, begin, side="right") - 1
    span = np.searchsorted(starts, end - 1, side="right") - first
    tokens = np.repeat(first - (np.cumsum(span) - span), span) + np.arange(span.sum())
    return np.repeat(pieces, span), rows[tokens]
