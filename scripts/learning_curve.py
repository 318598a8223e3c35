"""How many corrected notes buy how much: learn on from a model with few notes, and score it.

Every training is a cell of its own on disk, so that a run that is cut off, or out of its time, goes
on where it was. At the end the table and the plot are written of all cells that there are.
"""

import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from cells import fill, keep_settings, read

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

SIZES, SEEDS = (0, 5, 10, 20, 50, 100), (1, 2, 3)
WAYS = ("uncertainty", "random", "encoder")
# Of a hundred notes' gain, what twenty that the model chose give.
FEW, MANY = 20, 100


@dataclass(frozen=True)
class Target:
    """What is learned: notes to choose from, notes to score on, and the layer, where it is to be
    a new one for the model."""

    name: str
    pool: Path
    test: Path
    layer: str | None = None


@dataclass(frozen=True)
class Cell:
    """One training. `way` says how notes are chosen; "encoder" trains on those of "random" from
    the encoder alone, without what the model knows."""

    target: str
    way: str
    size: int
    seed: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.target}-{self.way}-{self.size}-{self.seed}.json"


def main(
    model: Annotated[str, typer.Argument(help="The model to go on from")],
    out: Annotated[Path, typer.Argument(help="Folder that gets cells, table and plot")],
    target: Annotated[
        list[str], typer.Option(help="NAME=POOL.spacy,TEST.spacy or NAME=POOL,TEST,LAYER")
    ],
    kept: Annotated[
        Path | None, typer.Option(help="A .spacy file to see on what is forgotten")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Also train from this encoder alone")] = None,
    rehearse: Annotated[list[Path] | None, typer.Option(help="As for clinner train")] = None,
    learn_rate: Annotated[float | None, typer.Option(help="Other than the usual one")] = None,
    learned_share: Annotated[
        float | None, typer.Option(help="Other than the usual one; see learn_on.cfg")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Begin no training after so long")] = 1e9,
    sizes: Annotated[str, typer.Option(help="Numbers of notes")] = ",".join(map(str, SIZES)),
    seeds: Annotated[str, typer.Option(help="Seeds")] = ",".join(map(str, SEEDS)),
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Measure the learning curve of MODEL."""
    from spacy_clinner.training.preparation import use_gpu

    use_gpu(gpu_id)
    targets = {found.name: found for found in map(read_target, target)}
    bench = Bench(model, kept, encoder, rehearse or [], learn_rate, gpu_id, learned_share)
    files = {f"target {t.name}": [str(t.pool), str(t.test), t.layer] for t in targets.values()}
    keep_settings(out, bench.settings() | files)
    ways = WAYS if encoder else WAYS[:2]
    asked = cells(targets, ways, numbers("--sizes", sizes), numbers("--seeds", seeds))

    def measure(cell: Cell) -> dict[str, Any]:
        found = bench.measure(targets[cell.target], cell)
        typer.echo(f"{cell.file}: {found['f']:.3f}")
        return {**asdict(cell), **found}

    left = fill(out, {cell.file: partial(measure, cell) for cell in asked}, minutes)
    measured = [read(path) for path in sorted((out / "cells").glob("*.json"))]
    with written_whole(out / "learning-curve.md") as path:
        path.write_text(table(measured), encoding="utf8")
    with written_whole(out / "learning-curve.png") as path:
        plot(measured, path)
    typer.echo(f"✔ {out}/learning-curve.md, learning-curve.png; {left} trainings are left")


def read_target(written: str) -> Target:
    """A target as the option has it."""
    name, _, rest = written.partition("=")
    parts = rest.split(",")
    if len(parts) not in (2, 3):
        raise ClinnerError(f"--target {written}: needs NAME=POOL,TEST or NAME=POOL,TEST,LAYER.")
    return Target(name, Path(parts[0]), Path(parts[1]), parts[2] if len(parts) > 2 else None)


def numbers(option: str, written: str) -> list[int]:
    """Numbers as an option has them."""
    try:
        return [int(number) for number in written.split(",")]
    except ValueError:
        raise ClinnerError(f"{option} {written}: needs whole numbers between commas.") from None


def cells(
    targets: dict[str, Target], ways: Sequence[str], sizes: Sequence[int], seeds: Sequence[int]
) -> Iterator[Cell]:
    """All trainings; the first seed of all sizes comes first, so that there is a curve soon."""
    for seed in seeds:
        for size in sizes:
            for name in targets:
                for way in ways:
                    # Without any note there is nothing to choose, and nothing to train.
                    if size or (way == "random" and seed == seeds[0]):
                        yield Cell(name, way, size, seed)


class Bench:
    """What all trainings have in common."""

    def __init__(
        self,
        model: str,
        kept: Path | None,
        encoder: str | None,
        rehearse: Sequence[Path],
        learn_rate: float | None,
        gpu_id: int,
        learned_share: float | None,
    ) -> None:
        self.model, self.kept, self.encoder = model, kept, encoder
        self.rehearse, self.gpu_id = rehearse, gpu_id
        values = {"learn_rate": learn_rate, "learned_share": learned_share}
        self.values = {f"variables.{name}": of for name, of in values.items() if of is not None}
        self.looks: dict[tuple[str, int], Any] = {}

    def settings(self) -> dict[str, Any]:
        """What must be the same for cells to be compared; what some runs leave out, where given."""
        from spacy_clinner.training.learning_on import CONFIG, learned_share
        from spacy_clinner.training.preparation import load_settings

        optional = {"kept": self.kept, "encoder": self.encoder}
        return {
            "model": self.model,
            "rehearse": list(map(str, self.rehearse)),
            "learn_rate": self.values.get("variables.learn_rate"),
            "learned_share": learned_share(load_settings(CONFIG, self.values)),
            **{name: str(value) for name, value in optional.items() if value is not None},
        }

    def measure(self, target: Target, cell: Cell) -> dict[str, Any]:
        """Train one cell and score it."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            test = self._docs(target, target.test, folder / "test.spacy")
            began = time.perf_counter()
            trained = self._trained(target, cell, folder)
            seconds = time.perf_counter() - began
            found: dict[str, Any] = {"seconds": round(seconds, 1), "f": score(trained, test)}
            if self.kept is not None and cell.way != "encoder":
                found["kept"] = score(trained, self.kept)
            return found

    def _trained(self, target: Target, cell: Cell, folder: Path) -> str:
        from spacy_clinner.training.learning_on import ENOUGH_TO_HOLD_OUT, LAST_ONLY, learn_on
        from spacy_clinner.training.run import train

        if not cell.size:
            return self.model
        notes = folder / "train.spacy"
        self._choose(target, cell, notes)
        out = folder / "out"
        if cell.way == "encoder":
            paths = {"paths.train": str(notes), "paths.dev": str(notes)}
            alone = {"variables.encoder": str(self.encoder), "system.seed": cell.seed}
            train(Path("configs/clinner.cfg"), out, overrides=paths | alone, gpu_id=self.gpu_id)
        else:
            # Of few notes all are learned. What is calibrated by cross-validation, confidence, has
            # no part in F1.
            few = {"paths.dev": str(notes), **LAST_ONLY} if cell.size < ENOUGH_TO_HOLD_OUT else {}
            begin = {"paths.train": str(notes), "system.seed": cell.seed}
            learn_on(
                self.model,
                out,
                overrides=begin | few | self.values,
                gpu_id=self.gpu_id,
                rehearse=self.rehearse,
            )
        return str(out / "model-best")

    def _choose(self, target: Target, cell: Cell, notes: Path) -> None:
        """Write the notes that are corrected first."""
        from spacy.tokens import DocBin
        from spacy.vocab import Vocab

        from spacy_clinner.corpora.docbin import SCHEMES, read_docs
        from spacy_clinner.pipeline.loading import load_pipeline
        from spacy_clinner.training.selection import choose, look
        from spacy_clinner.training.suggesting import shown_layers

        pool = read_docs(self._docs(target, target.pool, notes.with_name("pool.spacy")), Vocab())
        # Each seed has its own half of the pool to choose from, as a hospital has its own notes; of
        # a pool of 200 or fewer a hundred, or all, in an order of its own.
        random.Random(cell.seed).shuffle(pool)
        pool = pool[: max(MANY, len(pool) // 2)]
        chosen = list(range(len(pool)))[: cell.size]
        if cell.way == "uncertainty":
            if (at := (target.name, cell.seed)) not in self.looks:
                nlp = load_pipeline(self.model)
                texts = [doc.text for doc in pool]
                self.looks[at] = look(nlp, texts, shown_layers(nlp, ()))
            chosen = choose(self.looks[at], cell.size, "uncertainty")
        DocBin(docs=[pool[at] for at in chosen], store_user_data=True).to_disk(notes)
        if (schemes := target.pool.with_name(SCHEMES)).is_file() and target.layer is None:
            shutil.copy(schemes, notes.with_name(SCHEMES))

    def _docs(self, target: Target, path: Path, renamed: Path) -> Path:
        """The corpus, with its first layer under the name of the new one."""
        from spacy.tokens import DocBin, SpanGroup
        from spacy.vocab import Vocab

        from spacy_clinner.corpora.docbin import read_docs

        if target.layer is None:
            return path
        docs = read_docs(path, Vocab())
        for doc in docs:
            first = next(iter(doc.spans), None)
            if first is not None:
                spans = list(doc.spans[first])
                doc.spans.clear()
                doc.spans[target.layer] = SpanGroup(doc, name=target.layer, spans=spans)
        DocBin(docs=docs).to_disk(renamed)
        return renamed


def score(model: str, test: Path) -> float:
    """Strict F1 over all layers that the notes annotate; 0 for a layer that the model lacks."""
    from spacy_clinner.evaluation.intervals import f_score, span_counts
    from spacy_clinner.evaluation.spans import annotated_layers, predict_examples
    from spacy_clinner.pipeline.loading import load_pipeline

    examples = predict_examples(load_pipeline(model), test)
    counts = span_counts(examples, annotated_layers(examples))
    return float(f_score(counts.sum(axis=0)))


def means(measured: Sequence[dict[str, Any]], key: str) -> dict[tuple[str, str, int], float]:
    """By target, way and size, the mean over seeds; every way begins with the model as it was."""
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for cell in measured:
        if key in cell:
            ways = WAYS[:2] if not cell["size"] else (cell["way"],)
            for way in ways:
                values[cell["target"], way, cell["size"]].append(cell[key])
    return {at: sum(found) / len(found) for at, found in values.items()}


def table(measured: Sequence[dict[str, Any]]) -> str:
    """Markdown: by target and way the F1 at each size, and what twenty chosen notes are worth."""
    found, kept = means(measured, "f"), means(measured, "kept")
    sizes = sorted({size for *_, size in found})
    lines = ["| learned | notes chosen by | " + " | ".join(map(str, sizes)) + " |"]
    lines.append("|---|---|" + "---:|" * len(sizes))
    for target, way in dict.fromkeys((t, w) for t, w, _ in sorted(found)):
        for values, what in ((found, ""), (kept, ", kept")):
            points = [values.get((target, way, size)) for size in sizes]
            if any(point is not None for point in points):
                cells = ("" if point is None else f"{100 * point:.1f}" for point in points)
                lines.append(f"| {target}{what} | {way} | " + " | ".join(cells) + " |")
    for target in dict.fromkeys(t for t, *_ in sorted(found)):
        lines += worth(target, found)
    return "\n".join(lines) + "\n"


def worth(target: str, found: dict[tuple[str, str, int], float]) -> Iterator[str]:
    """A sentence on what the first notes give of the gain of a hundred."""
    # What a hundred give is the mean of both ways: the pools are about as large.
    many = [found[at] for way in WAYS[:2] if (at := (target, way, MANY)) in found]
    start = found.get((target, "random", 0))
    for way in WAYS[:2]:
        few = found.get((target, way, FEW))
        if few is not None and start is not None and many:
            gain = sum(many) / len(many) - start
            share = f"{100 * (few - start) / gain:.0f} %" if gain > 0 else "no gain at all"
            yield (
                f"\n{target}: {FEW} notes by {way} are worth {100 * (few - start):+.1f} points, "
                f"{share} of what {MANY} give."
            )


def plot(measured: Sequence[dict[str, Any]], path: Path) -> None:
    """The curves, a picture for each target."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    found = means(measured, "f")
    targets = list(dict.fromkeys(target for target, *_ in sorted(found)))
    figure, axes = plt.subplots(1, max(1, len(targets)), figsize=(5 * max(1, len(targets)), 4),
                                squeeze=False)  # fmt: skip
    for axis, target in zip(axes[0], targets, strict=False):
        for way in WAYS:
            points = sorted(
                (size, 100 * f) for (t, w, size), f in found.items() if (t, w) == (target, way)
            )
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", label=way)
        axis.set(title=target, xlabel="corrected notes", ylabel="strict F1")
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


if __name__ == "__main__":
    run(main)
