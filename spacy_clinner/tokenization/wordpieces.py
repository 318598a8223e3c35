"""Which wordpieces belong to which tokens, and which windows are computed together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

if TYPE_CHECKING:
    from tokenizers import Encoding

Ints = NDArray[np.int64]

# Characters that are read of a token: no word has more, and its beginning says as much as all.
LONGEST_TOKEN = 8192


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

    def halves(self) -> list["Window"]:
        """Cut it in two between tokens. Of one token the first half stays: what has no place in
        a window is no word, and its end says no more than its beginning.

        RETURNS (List[Window]): What there is to read of it.
        """
        n_tokens = len(self.starts)
        if n_tokens == 1:
            return [Window(self.text[: len(self.text) // 2], self.starts, self.row)]
        middle = n_tokens // 2
        cut = int(self.starts[middle])
        return [
            Window(self.text[:cut], self.starts[:middle], self.row),
            Window(self.text[cut:], self.starts[middle:] - cut, self.row + middle),
        ]


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
        first = int(starts[span.start])
        last = span.end - 1
        end = int(starts[last]) + len(doc[last])
        if first == starts[last]:
            end = min(end, first + LONGEST_TOKEN)
        within = starts[span.start : span.end] - first
        windows.append(Window(text[first:end], within, row + span.start))
    return windows


def encode_windows(
    windows: Sequence[Window],
    encode: Callable[[list[str]], Sequence["Encoding"]],
    max_length: int,
) -> tuple[list[Window], list["Encoding"]]:
    """Cut windows into wordpieces, so that each fits the encoder.

    windows (Sequence[Window]): The windows.
    encode (Callable[[List[str]], Sequence[Encoding]]): The tokenizer, without truncation.
    max_length (int): Wordpieces that the encoder takes, special tokens included.
    RETURNS (Tuple[List[Window], List[Encoding]]): The windows, those with more wordpieces cut in
        halves until they fit, and of a token that does not fit its beginning; and the wordpieces
        of each.
    """
    encodings = list(encode([window.text for window in windows]))
    long = [at for at, encoding in enumerate(encodings) if len(encoding.ids) > max_length]
    fitting = list(windows)
    for at in reversed(long):
        if len(windows[at].text) > 1:
            fitting[at : at + 1], encodings[at : at + 1] = encode_windows(
                windows[at].halves(), encode, max_length
            )
    return fitting, encodings


def align_wordpieces(windows: Sequence[Window], offsets: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Pair wordpieces with the tokens that they share a character with.

    windows (Sequence[Window]): The windows.
    offsets (Ints): Where each wordpiece of all windows, one after the other, begins and ends in
        its window's text, in characters; shape (wordpieces, 2).
    lengths (Ints): The number of wordpieces of each window.
    RETURNS (tuple[Ints, Ints]): For each pair the wordpiece's place among all, ascending, and the
        token's row.
    """
    n_tokens = np.array([len(window.starts) for window in windows], dtype=np.int64)
    # All texts in one line of characters, with one to spare between them.
    sizes = np.array([len(window.text) + 1 for window in windows], dtype=np.int64)
    base = np.cumsum(sizes) - sizes
    starts = np.concatenate([window.starts for window in windows]) + np.repeat(base, n_tokens)
    first_row = np.array([window.row for window in windows], dtype=np.int64)
    rows = np.repeat(first_row - (np.cumsum(n_tokens) - n_tokens), n_tokens)
    rows += np.arange(len(rows))
    # Special tokens have no characters.
    pieces = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    begin, end = (offsets + np.repeat(base, lengths)[:, None])[pieces].T
    first = np.searchsorted(starts, begin, side="right") - 1
    span = np.searchsorted(starts, end - 1, side="right") - first
    tokens = np.repeat(first - (np.cumsum(span) - span), span) + np.arange(span.sum())
    return np.repeat(pieces, span), rows[tokens]


def pack(lengths: Ints, batch_pieces: int) -> Iterator[tuple[int, int, int]]:
    """Cut a sorted sequence of windows into batches.

    lengths (Ints): The number of wordpieces of each window, descending.
    batch_pieces (int): Wordpieces in a batch, padding included; a longer window stands alone.
    YIELDS (tuple[int, int, int]): The first window of a batch, the one after its last, and the
        batch's width.
    """
    start = 0
    while start < len(lengths):
        width = int(lengths[start])
        end = min(start + max(1, batch_pieces // width), len(lengths))
        yield start, end, width
        start = end
