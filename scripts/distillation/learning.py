"""A tagger in plain torch that learns from gold, partial and soft labels: large batches on a GPU.

The loss is that of `clinner_ner`: the taggings of a window that agree with what is known, among
all legal ones. A teacher's posteriors stand for the gold in the labels of texts that have none;
as the score of a tagging is a sum over its tokens, the posteriors of single tags are all that the
cross entropy between the two models' taggings needs (Hinton et al., 2015).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

Array = NDArray[Any]
NOT_ANNOTATED = -1
# Log probabilities below this are as good as this: quotients stay within float32.
LOWEST = -30.0


@dataclass(frozen=True)
class Special:
    """Numbers of an encoder's special pieces."""

    first: int
    last: int
    padding: int
    mask: int


class Windows:
    """Windows on the device. See `arrays.Arrays` for the columns.

    arrays (Arrays): The windows.
    renumber (Array): By the student's number of a piece that of this encoder.
    """

    def __init__(self, arrays: Any, renumber: Array, device: torch.device) -> None:
        self.tags = {k: torch.from_numpy(v.astype(np.int64)).to(device)
                     for k, v in arrays.tags.items()}  # fmt: skip
        self.allowed = {k: torch.from_numpy(v).to(device) for k, v in arrays.allowed.items()}
        self.soft: dict[str, Tensor] = {}
        self.soft_at: dict[str, Tensor] = {}
        self.pieces = torch.from_numpy(renumber[arrays.pieces.astype(np.int64)]).to(device)
        self.piece_end, self.token_end = arrays.piece_ends, arrays.token_ends
        self.piece_start = np.concatenate([[0], arrays.piece_ends[:-1]])
        self.token_start = np.concatenate([[0], arrays.token_ends[:-1]])
        self.first, self.doc = arrays.first, arrays.doc
        self.pair_token = torch.from_numpy(arrays.pair_token).to(device)
        self.pair_piece = torch.from_numpy(arrays.pair_piece).to(device)
        pair = np.searchsorted(arrays.pair_token, np.concatenate([[0], arrays.token_ends]))
        self.pair_start, self.pair_end = pair[:-1], pair[1:]
        self.layers_of = self._layers_of(arrays)
        self.device = device

    def _layers_of(self, arrays: Any) -> dict[str, Array]:
        """By layer, which windows annotate it."""
        found = {}
        for layer, tags in arrays.tags.items():
            annotated = np.concatenate([[0], np.cumsum(tags != NOT_ANNOTATED)])
            found[layer] = annotated[self.token_end] > annotated[self.token_start]
        return found

    def __len__(self) -> int:
        return len(self.piece_end)

    @property
    def n_tokens(self) -> Array:
        """Tokens of each window."""
        lengths: Array = self.token_end - self.token_start
        return lengths


def ranges(start: Array, end: Array, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Members of ranges laid end to end: their numbers, their range, and their place in it."""
    lengths = end - start
    owner = np.repeat(np.arange(len(start)), lengths)
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    columns = (np.repeat(start, lengths) + place, owner, place)
    number, owned, placed = (torch.from_numpy(c).to(device, non_blocking=True) for c in columns)
    return number, owned, placed


class Tagger(nn.Module):
    """An encoder with a linear head for each layer.

    folder (str): The encoder.
    labels (dict[str, list[str]]): The labels of each layer.
    special (Special): Its special pieces.
    dropout (float): Of token vectors and in the encoder, without that of attention.
    """

    def __init__(
        self, folder: str, labels: dict[str, list[str]], special: Special, dropout: float = 0.1
    ) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(folder)
        config.update({"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": 0.0})
        self.encoder = AutoModel.from_pretrained(folder, config=config, add_pooling_layer=False)
        self.special = special
        self.labels = labels
        width = config.hidden_size
        self.heads = nn.ModuleDict(
            {layer: nn.Linear(width, 2 * len(names) + 1) for layer, names in labels.items()}
        )
        for parameter in self.heads.parameters():
            nn.init.zeros_(parameter)
        self.dropout = nn.Dropout(dropout)

    def read(self, windows: Windows, rows: Array, pieces: Tensor | None = None) -> Tensor:
        """Vectors of pieces, shape (windows, longest + 2, width).

        pieces (Tensor | None): What to read in place of the windows' own pieces, laid end to end.
        """
        number, owner, place = ranges(
            windows.piece_start[rows], windows.piece_end[rows], windows.device
        )
        longest = int((windows.piece_end - windows.piece_start)[rows].max())
        ids = torch.full((len(rows), longest + 2), self.special.padding, device=windows.device)
        ids[:, 0] = self.special.first
        ids[owner, place + 1] = windows.pieces[number] if pieces is None else pieces
        lengths = torch.from_numpy((windows.piece_end - windows.piece_start)[rows])
        lengths = lengths.to(windows.device)
        ids[torch.arange(len(rows), device=windows.device), lengths + 1] = self.special.last
        mask = torch.arange(longest + 2, device=windows.device) < (lengths + 2)[:, None]
        vectors: Tensor = self.encoder(ids, attention_mask=mask.long()).last_hidden_state
        return vectors

    def tokens(self, windows: Windows, rows: Array) -> Tensor:
        """Vectors of tokens, the mean of their pieces', laid end to end."""
        vectors = self.read(windows, rows)
        pairs, owner, _ = ranges(windows.pair_start[rows], windows.pair_end[rows], windows.device)
        start = torch.from_numpy(windows.piece_start[rows]).to(windows.device)
        before = torch.from_numpy(windows.token_start[rows]).to(windows.device)
        lengths = windows.n_tokens[rows]
        offset = torch.from_numpy(np.cumsum(lengths) - lengths).to(windows.device)
        of_piece = vectors[owner, windows.pair_piece[pairs] - start[owner] + 1].float()
        token = windows.pair_token[pairs] - before[owner] + offset[owner]
        n_tokens = int(lengths.sum())
        total = of_piece.new_zeros(n_tokens, of_piece.shape[1]).index_add(0, token, of_piece)
        count = of_piece.new_zeros(n_tokens).index_add(0, token, torch.ones_like(token).float())
        found: Tensor = self.dropout(total / count.clamp(min=1.0)[:, None])
        return found

    def loss(self, windows: Windows, rows: Array, vectors: Tensor) -> Tensor:
        """The loss of some windows, a sum over their layers divided by their tokens."""
        parts = [
            self._layer(windows, rows, layer, vectors)
            for layer in self.labels
            if layer in windows.layers_of and windows.layers_of[layer][rows].any()
        ]
        n_labels = max(p.shape[-1] for p, *_ in parts) // 2
        longest = int(windows.n_tokens[rows].max())
        first = torch.from_numpy(windows.first[rows]).to(windows.device)
        total = parts[0][0].new_zeros(())
        scanned, begins, signs = [], [], []
        for p, target, known, at in parts:
            free, held = chain(p, known, at, longest, n_labels)
            if target is not None:
                total = total - (target * p.clamp(min=LOWEST)).sum()
            for weights, sign in ((free, 1.0), (held, -1.0)):
                if weights:
                    scanned.append(weights)
                    begins.append(first[at[2]])
                    signs.append(torch.full_like(weights[0][:, 0], sign))
        together = [torch.cat(arrays) for arrays in zip(*scanned, strict=True)]
        log_norms = scan(together[0], together[1], together[2], torch.cat(begins))
        total = total + (log_norms * torch.cat(signs)).sum()
        return total / max(1, int(windows.n_tokens[rows].sum()))

    def _layer(
        self, windows: Windows, rows: Array, layer: str, vectors: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, tuple[Tensor, Tensor, Tensor]]:
        """Log probabilities, soft targets or allowed tags, and the place of each token."""
        lengths = windows.n_tokens[rows]
        chosen = np.flatnonzero(windows.layers_of[layer][rows])
        offset = np.cumsum(lengths) - lengths
        token, owner, place = ranges(
            offset[chosen], offset[chosen] + lengths[chosen], windows.device
        )
        number, _, _ = ranges(
            windows.token_start[rows][chosen], windows.token_end[rows][chosen], windows.device
        )
        p = self.heads[layer](vectors[token]).log_softmax(-1)
        at = (owner, place, torch.from_numpy(chosen).to(windows.device))
        if layer in windows.soft:
            return p, windows.soft[layer][windows.soft_at[layer][number]].float(), None, at
        tags = windows.tags[layer][number]
        sets = windows.allowed[layer]
        exact = nn.functional.one_hot(tags.clamp(min=0), p.shape[-1]).bool()
        wide = sets[(NOT_ANNOTATED - 1 - tags).clamp(0, len(sets) - 1)]
        return p, None, torch.where((tags >= 0)[:, None], exact, wide), at

    @torch.no_grad()
    def marginals(self, windows: Windows, rows: Array, layer: str, vectors: Tensor) -> Tensor:
        """Posteriors of the tags of some windows' tokens, shape (tokens, 2 * labels + 1)."""
        scores = self.heads[layer](vectors).float()
        with torch.enable_grad():
            scores.requires_grad_(True)
            p = scores.log_softmax(-1)
            lengths = windows.n_tokens[rows]
            _, owner, place = ranges(
                np.cumsum(lengths) - lengths, np.cumsum(lengths), windows.device
            )
            every = torch.arange(len(rows), device=windows.device)
            arrays, _ = chain(p, None, (owner, place, every), int(lengths.max()), p.shape[-1] // 2)
            first = torch.from_numpy(windows.first[rows]).to(windows.device)
            log_norm = scan(arrays[0], arrays[1], arrays[2], first).sum()
            # d(log norm + log normalisers)/d score = P(tag | legal).
            total = log_norm + torch.logsumexp(scores, -1).sum()
            (found,) = torch.autograd.grad(total, scores)
        posteriors: Tensor = found.clamp(0.0, 1.0)
        return posteriors


def chain(
    p: Tensor,
    known: Tensor | None,
    at: tuple[Tensor, Tensor, Tensor],
    longest: int,
    n_labels: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Lay the tags of windows side by side: O, B and I, free and as far as they are known.

    p (Tensor): Log probabilities, shape (tokens, 2 * labels + 1).
    known (Tensor | None): Which tags may be right, the same shape.
    at (tuple): Window and place of each token, and the row of each window in the batch.
    longest (int), n_labels (int): Room in the result.
    RETURNS (tuple): Twice outside (windows, longest), begin and inside (windows, longest, labels);
        where a window has no token, O is sure.
    """
    owner, place, every = at
    probability = p.clamp(min=LOWEST).exp()
    n = (p.shape[-1] - 1) // 2
    found: list[list[Tensor]] = []
    for weights in (probability, None if known is None else probability * known):
        if weights is None:
            found.append([])
            continue
        outside = weights.new_ones(len(every), longest)
        begin = weights.new_zeros(len(every), longest, n_labels)
        inside = weights.new_zeros(len(every), longest, n_labels)
        outside = outside.index_put((owner, place), weights[:, 0])
        pad = (0, n_labels - n)
        begin = begin.index_put((owner, place), nn.functional.pad(weights[:, 1 : n + 1], pad))
        inside = inside.index_put((owner, place), nn.functional.pad(weights[:, n + 1 :], pad))
        found.append([outside, begin, inside])
    return found[0], found[1]


def scan(outside: Tensor, begin: Tensor, inside: Tensor, first: Tensor) -> Tensor:
    """The log of what the constraint leaves of the probability mass, per window.

    outside (Tensor): Shape (windows, tokens).
    begin, inside (Tensor): Shape (windows, tokens, labels).
    first (Tensor): Whether nothing can be continued at a window's first token; elsewhere any
        label can, as the window before may have ended in its span.
    RETURNS (Tensor): Shape (windows,).
    """
    state = (~first).float()[:, None].expand(-1, begin.shape[2])
    norms = []
    for o, b, i in zip(outside.unbind(1), begin.unbind(1), inside.unbind(1), strict=True):
        mass = b + i * state
        norm = (o + mass.sum(-1)).clamp(min=1e-30)
        state = mass / norm[:, None]
        norms.append(norm)
    return torch.stack(norms, 1).log().sum(1)


def batches(lengths: Array, order: Array, size: int, rng: np.random.Generator) -> Iterator[Array]:
    """Cut windows into batches of about `size` padded tokens, those of like length together."""
    pool = max(1, size * 16 // max(1, int(lengths.mean())))
    for at in range(0, len(order), pool):
        some = order[at : at + pool]
        some = some[np.argsort(lengths[some], kind="stable")]
        ends, start = [], 0
        for k in range(len(some)):
            if (k + 1 - start) * lengths[some[k]] > size and k > start:
                ends.append(some[start:k])
                start = k
        ends.append(some[start:])
        for k in rng.permutation(len(ends)):
            yield ends[k]
