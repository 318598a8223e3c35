"""From windows to batches of wordpieces, and from their vectors to tokens' vectors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spacy_clinner.tokenization.wordpieces import (
    Ints,
    Window,
    align_wordpieces,
    encode_windows,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = NDArray[np.float32]

# Few different shapes: the runtime prepares each one that it meets.
LENGTH_MULTIPLE = 16


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


def make_batches(
    windows: Sequence[Window], tokenizer: "Tokenizer", max_length: int, batch_pieces: int
) -> Iterator[WordpieceBatch]:
    """Cut windows into wordpieces and pack those of one width, the longest first.

    A wordpiece belongs to every token that it shares a character with, as in spacy-transformers.
    (Cutting the words one by one would not do: "10mg" is two tokens but one word to BERT, and its
    wordpieces are "10" and "##mg".)

    windows (Sequence[Window]): Windows, of any documents.
    tokenizer (Tokenizer): Without truncation and padding.
    max_length (int): Wordpieces that the encoder takes; longer windows are cut in two.
    batch_pieces (int): Wordpieces in a batch, padding included; a longer window stands alone.
    YIELDS (WordpieceBatch): The batches.
    """
    if not windows:
        return
    windows, encodings = encode_windows(
        windows, lambda texts: [tokenizer.encode(text) for text in texts], max_length
    )
    lengths = np.array([min(len(e.ids), max_length) for e in encodings], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    windows = [windows[at] for at in order.tolist()]
    encodings = [encodings[at] for at in order.tolist()]
    ids = np.concatenate([np.array(e.ids[:max_length], dtype=np.int64) for e in encodings])
    kept = zip(encodings, lengths.tolist(), strict=True)
    offsets = np.array([pair for e, n in kept for pair in e.offsets[:n]], dtype=np.int64)
    pair_pieces, pair_rows = align_wordpieces(windows, offsets, lengths)
    piece_ends = np.concatenate([[0], np.cumsum(lengths)])
    for start, end, width in equally_wide(lengths, batch_pieces):
        mask = np.arange(width) < lengths[start:end, None]
        padded = np.zeros(mask.shape, dtype=np.int64)
        padded[mask] = ids[piece_ends[start] : piece_ends[end]]
        low, high = np.searchsorted(pair_pieces, (piece_ends[start], piece_ends[end]))
        places = np.flatnonzero(mask)[pair_pieces[low:high] - piece_ends[start]]
        by_row = np.argsort(pair_rows[low:high], kind="stable")
        rows, first = np.unique(pair_rows[low:high][by_row], return_index=True)
        yield WordpieceBatch(padded, mask.astype(np.int64), places[by_row], first, rows)


def equally_wide(lengths: Ints, batch_pieces: int) -> Iterator[tuple[int, int, int]]:
    """Cut a sorted sequence of windows into batches of one width each.

    A window is as wide in every batch: in bfloat16 its vectors depend on its width, and must not
    depend on what it happens to be computed with.

    lengths (Ints): The number of wordpieces of each window, descending.
    batch_pieces (int): Wordpieces in a batch, padding included; a longer window stands alone.
    YIELDS (tuple[int, int, int]): The first window of a batch, the one after its last, and the
        batch's width.
    """
    widths = -(-lengths // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    cuts = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(widths)]
    for first, last in pairwise(cuts):
        width = int(widths[first])
        step = max(1, batch_pieces // width)
        for start in range(first, last, step):
            yield start, min(start + step, last), width
