"""The arrays that a teacher and its student learn from.

Everything is laid end to end: pieces over windows, tokens over windows, windows over documents.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NOT_ANNOTATED = -1


@dataclass(frozen=True)
class Arrays:
    """Windows of documents.

    pieces (uint16): Wordpieces without the encoder's special ones, shape (pieces,).
    piece_ends (int64): Where each window ends among the pieces, shape (windows,).
    pair_piece, pair_token (int64): Which piece belongs to which token, shape (pairs,).
    token_ends (int64): Where each window ends among the tokens (without blank ones), (windows,).
    doc (int32): The document of each window.
    first (bool): Whether a window begins its document.
    tags (dict[str, int16]): By layer, the tag of each token: 0 is O, then B, then I; below 0
        `NOT_ANNOTATED - 1 - k` for row k of `allowed`, and `NOT_ANNOTATED`.
    allowed (dict[str, bool]): By layer, sets of tags of which any may be right, shape
        (sets, 2 * labels + 1).
    """

    pieces: Array
    piece_ends: Array
    pair_piece: Array
    pair_token: Array
    token_ends: Array
    doc: Array
    first: Array
    tags: dict[str, Array]
    allowed: dict[str, Array]

    def save(self, path: Path) -> None:
        """Write a file that compresses well."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: value for name, value in plain.items() if isinstance(value, np.ndarray)}
        for name in ("piece_ends", "pair_piece", "pair_token", "token_ends", "doc"):
            arrays[name] = np.diff(arrays[name], prepend=0).astype(np.int16)
        for layer, tags in self.tags.items():
            arrays[f"tags {layer}"] = tags
            arrays[f"allowed {layer}"] = self.allowed[layer]
        np.savez(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Arrays:
    """Read what `Arrays.save` wrote."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    for name in ("piece_ends", "pair_piece", "pair_token", "token_ends", "doc"):
        arrays[name] = np.cumsum(arrays[name].astype(np.int64))
    tags = {name[5:]: value for name, value in arrays.items() if name.startswith("tags ")}
    allowed = {layer: arrays.pop(f"allowed {layer}") for layer in tags}
    plain = {name: value for name, value in arrays.items() if not name.startswith("tags ")}
    return Arrays(**plain, tags=tags, allowed=allowed)
