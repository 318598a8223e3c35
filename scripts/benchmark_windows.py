"""What the encoder's windows cost and give, and what share of the time decoding takes."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

from spacy_clinner.architectures import decoding
from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.evaluation.spans import strict
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.tokenization.windows import create_line_windows


def main(
    model: Annotated[Path, typer.Argument(help="A trained en_clinner")],
    corpus: Annotated[Path, typer.Argument(help="A .spacy file, dev as a rule")],
    turns: Annotated[int, typer.Option(help="Passes; the fastest counts")] = 3,
) -> None:
    """Run MODEL over CORPUS with several kinds of windows."""
    nlp = load_pipeline(model)
    transformer: Any = nlp.get_pipe("transformer")
    gold = read_docs(corpus, nlp.vocab)
    strided = registry.get("span_getters", "spacy-transformers.strided_spans.v1")
    kinds: dict[str, Callable[..., Any]] = {
        "lines 128": create_line_windows(window=128, max_pieces=510, overlap=0),
        "lines 128, overlap 16": create_line_windows(window=128, max_pieces=510, overlap=16),
        "lines 128, overlap 32": create_line_windows(window=128, max_pieces=510, overlap=32),
        "lines 256": create_line_windows(window=256, max_pieces=510, overlap=0),
        "strided 128/96": strided(window=128, stride=96),
    }
    table = Table(title=f"Windows, {len(gold)} notes (torch, whole pipeline)")
    for column in ("windows", "F1 all", "words/s", "times strided"):
        table.add_column(column, justify="left" if column == "windows" else "right")
    found = {}
    for kind, get_spans in kinds.items():
        transformer.model.attrs["get_spans"] = get_spans
        found[kind] = score(nlp, gold, turns)
    for kind, (f_score, speed) in found.items():
        ratio = speed / found["strided 128/96"][1]
        table.add_row(kind, f"{100 * f_score:.1f}", f"{speed:,.0f}", f"{ratio:.2f}")
    console = Console()
    console.print(table)
    transformer.model.attrs["get_spans"] = kinds["lines 128"]
    console.print(f"Decoding: {decoding_share(nlp, gold):.1%} of the time of nlp.pipe")


def score(nlp: Language, gold: list[Doc], turns: int) -> tuple[float, float]:
    """Strict F1 over all layers, and words per second of the fastest pass."""
    texts = [doc.text for doc in gold]
    seconds = []
    predicted: list[Doc] = []
    for _ in range(turns):
        started = time.perf_counter()
        predicted = list(nlp.pipe(texts))
        seconds.append(time.perf_counter() - started)
    examples = [Example(guess, doc) for guess, doc in zip(predicted, gold, strict=True)]
    layers = list(dict.fromkeys(layer for doc in gold for layer in doc.spans))
    words = sum(len(text.split()) for text in texts)
    return strict(examples, layers)["all"]["f"], words / min(seconds)


def decoding_share(nlp: Language, gold: list[Doc]) -> float:
    """The part of nlp.pipe's time in Viterbi and forward-backward, the profiler's own included."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in nlp.pipe([doc.text for doc in gold]):
        pass
    profile.disable()
    stats: Any = pstats.Stats(profile)
    steps = {f.__name__ for f in (decoding.tag_scores, decoding.viterbi, decoding.span_posteriors)}
    spent = sum(
        row[3]
        for (file, _, name), row in stats.stats.items()
        if name in steps and file == decoding.__file__
    )
    return float(spent / stats.total_tt)


if __name__ == "__main__":
    run(main)
