"""The steps of a distillation: masked words, learning, labelling; each has its time, in seconds."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillation.learning import Array, Special, Tagger, Windows, batches, ranges

WARMUP = 0.08
HEAD_RATE = 10.0
MASKED = 0.15
LOG_SECONDS = 10.0
Draw = Callable[[np.random.Generator], tuple[Windows, Array]]


def autocast(device: torch.device) -> Any:
    """bfloat16 where that is fast."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def optimizer_of(modules: Sequence[tuple[nn.Module, float]], rate: float) -> torch.optim.Optimizer:
    """AdamW, with a rate for each module."""
    groups = [{"params": list(m.parameters()), "lr": rate * k, "top": rate * k} for m, k in modules]
    return torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98), fused=True)


def timed_steps(
    optimizer: torch.optim.Optimizer, parameters: Sequence[Any], seconds: float, name: str
) -> Iterator[Callable[[Tensor], None]]:
    """Steps until the time is over; the rate rises, then falls by a cosine to 0 at its end."""
    began = shown = time.monotonic()
    steps, losses = 0, []
    while (done := (time.monotonic() - began) / seconds) < 1.0:
        factor = min(1.0, done / WARMUP) * 0.5 * (1 + np.cos(np.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = group["top"] * factor

        def step(loss: Tensor) -> None:
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())

        yield step
        steps += 1
        if time.monotonic() - shown > LOG_SECONDS:
            shown = time.monotonic()
            mean = float(torch.stack(losses[-50:]).mean())
            print(f"{name}: {100 * done:.0f} %, {steps} steps, loss {mean:.4f}", flush=True)
    torch.cuda.synchronize() if torch.cuda.is_available() else None
    print(f"{name}: done, {steps} steps in {time.monotonic() - began:.0f} s", flush=True)


class MaskedWords(nn.Module):
    """A head that predicts hidden pieces; its last layer is the encoder's table of pieces."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        table = encoder.get_input_embeddings().weight  # type: ignore[operator]
        self.bias = nn.Parameter(torch.zeros(len(table), device=table.device))

    def forward(self, vectors: Tensor, table: Tensor) -> Tensor:
        scores: Tensor = self.dense(vectors) @ table.T + self.bias
        return scores


def adapt(
    tagger: Tagger, texts: Windows, continues: Array, *, seconds: float, rate: float, size: int
) -> int:
    """Go on pretraining an encoder: whole words are masked (Cui et al., 2021).

    tagger (Tagger): Its encoder learns.
    texts (Windows): What to read.
    continues (Array): By number of a piece, whether it continues the word before.
    seconds (float), rate (float), size (int): Time, highest rate, padded pieces of a batch.
    RETURNS (int): Updates.
    """
    device = texts.device
    encoder = tagger.encoder
    head = MaskedWords(encoder, encoder.config.hidden_size).to(device)
    optimizer = optimizer_of([(encoder, 1.0), (head, 3.0)], rate)
    parameters = [*encoder.parameters(), *head.parameters()]
    rng = np.random.default_rng(0)
    lengths = texts.piece_end - texts.piece_start
    going = torch.from_numpy(continues).to(device)
    rows = endless(lambda: batches(lengths, rng.permutation(len(texts)), size, rng))
    tagger.train()
    updates = 0
    for step in timed_steps(optimizer, parameters, seconds, "masked words"):
        chosen = next(rows)
        with autocast(device):
            target, hidden, pieces = masked(texts, chosen, going, tagger.special)
            vectors = tagger.read(texts, chosen, pieces)
            inner = vectors[target[0], target[1] + 1]
            table = encoder.get_input_embeddings().weight
            loss = nn.functional.cross_entropy(head(inner, table).float(), hidden)
        step(loss)
        updates += 1
    return updates


def masked(
    texts: Windows, rows: Array, going: Tensor, special: Special
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Hide words: where the hidden pieces stand, which they are, and what is read."""

    number, owner, place = ranges(texts.piece_start[rows], texts.piece_end[rows], texts.device)
    pieces = texts.pieces[number]
    word = (~going[pieces]).long().cumsum(0)
    hidden_word = torch.rand(int(word[-1]) + 1, device=texts.device) < MASKED
    hidden = hidden_word[word]
    chance = torch.rand(len(pieces), device=texts.device)
    read = torch.where(hidden & (chance < 0.8), special.mask, pieces)
    anything = pieces[torch.randint(len(pieces), pieces.shape, device=texts.device)]
    read = torch.where(hidden & (chance >= 0.9), anything, read)
    return (owner[hidden], place[hidden]), pieces[hidden], read


def endless(again: Callable[[], Iterator[Array]]) -> Iterator[Array]:
    """Pass after pass."""
    while True:
        yield from again()


def learn(tagger: Tagger, draw: Draw, *, seconds: float, rate: float, name: str) -> int:
    """Learn from windows.

    tagger (Tagger): What learns.
    draw (Callable): Gives a batch: windows and the rows among them.
    seconds (float), rate (float), name (str): Time, highest rate, name for the log.
    RETURNS (int): Updates.
    """
    optimizer = optimizer_of([(tagger.encoder, 1.0), (tagger.heads, HEAD_RATE)], rate)
    parameters = list(tagger.parameters())
    rng = np.random.default_rng(1)
    tagger.train()
    updates = 0
    for step in timed_steps(optimizer, parameters, seconds, name):
        windows, rows = draw(rng)
        with autocast(windows.device):
            vectors = tagger.tokens(windows, rows)
        step(tagger.loss(windows, rows, vectors))
        updates += 1
    return updates


def drawer(sources: Sequence[tuple[Windows, Array, float]], size: int, seed: int = 0) -> Draw:
    """Draw batches from several sources.

    sources (Sequence[tuple[Windows, Array, float]]): Windows, the rows to draw from, and the
        share of each.
    size (int): Padded pieces of a batch.
    seed (int): Decides the order.
    """
    rng = np.random.default_rng(seed)
    streams = []
    for windows, rows, _ in sources:
        lengths = windows.piece_end - windows.piece_start
        streams.append(
            endless(lambda w=lengths, r=rows: batches(w, rng.permutation(r), size, rng))  # type: ignore[misc]
        )
    shares = np.array([share for *_, share in sources], dtype=float)
    shares /= shares.sum()

    def draw(random: np.random.Generator) -> tuple[Windows, Array]:
        at = int(random.choice(len(sources), p=shares))
        return sources[at][0], next(streams[at])

    return draw


def label(
    tagger: Tagger, windows: Windows, layers: Sequence[str], size: int = 65536
) -> dict[str, Tensor]:
    """Posteriors of all tags of all tokens, in half precision; by layer (tokens, tags)."""
    tagger.eval()
    found = {
        layer: torch.zeros(
            int(windows.token_end[-1]), 2 * len(tagger.labels[layer]) + 1,
            dtype=torch.float16, device=windows.device,
        )
        for layer in layers
    }  # fmt: skip
    rng = np.random.default_rng(0)
    lengths = windows.piece_end - windows.piece_start

    for rows in batches(lengths, np.arange(len(windows)), size, rng):
        number, _, _ = ranges(windows.token_start[rows], windows.token_end[rows], windows.device)
        with torch.no_grad(), autocast(windows.device):
            vectors = tagger.tokens(windows, rows)
        for layer in layers:
            found[layer][number] = tagger.marginals(windows, rows, layer, vectors).half()
    return found


def logits(tagger: Tagger, windows: Windows, layers: Sequence[str]) -> dict[str, Array]:
    """Scores of some layers for all tokens, in half precision, on the CPU."""

    tagger.eval()
    widths = {layer: 2 * len(tagger.labels[layer]) + 1 for layer in layers}
    found = {layer: np.zeros((int(windows.token_end[-1]), n), "f2") for layer, n in widths.items()}
    rng = np.random.default_rng(0)
    lengths = windows.piece_end - windows.piece_start
    for rows in batches(lengths, np.arange(len(windows)), 65536, rng):
        number, _, _ = ranges(windows.token_start[rows], windows.token_end[rows], windows.device)
        with torch.no_grad(), autocast(windows.device):
            vectors = tagger.tokens(windows, rows)
        with torch.no_grad():
            for layer in layers:
                found[layer][number.cpu().numpy()] = (
                    tagger.heads[layer](vectors).half().cpu().numpy()
                )
    return found
