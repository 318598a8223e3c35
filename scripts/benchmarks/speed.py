"""Speed on a CPU: text in, entities with their negation out.

Every system runs in a process of its own that stays alive; they take turns, and only one works at
a time, on all cores. All have the encoder and the head of one trained `en_clinner`, spaCy's own
`ner` apart, which has its own training:

- Hugging Face: `pipeline("token-classification", aggregation_strategy="simple")` with batch sizes
  1, 8 and 32. Notes longer than the encoder takes (512 wordpieces as a rule) are cut, as its users
  have to, and only the words that it reads count. Entities alone, no negation.
- spaCy: spacy-transformers over strided spans 128/96, and spaCy's `ner` (`configs/transition.cfg`).
  Entities alone, no negation.
- `en_clinner` in float32 and, with `predict_bf16_on_cpu = "auto"`, in bf16, and `en_clinner_cpu` in
  int8, bf16 and fp32: layers, relations, sections, negation and whatever else the trained pipeline
  has. The latter runs as if neither torch nor transformers were installed.
- The limit: the session of the int8 edition alone, over the batches of wordpieces that the edition
  would make, all of them made before.

Memory is the peak of the process' resident memory. Loading is from the start of a process, imports
included, until the model is loaded, and until it has read a first note of one line.

Besides: how time grows with the length of one note and with the number of notes, and the resident
memory over many notes (`--soak`) that are read in memory zones.
"""

import environment  # noqa: F401  # isort: skip

import tempfile
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from spacy.language import Language
from throughput import machine, parts, prepare, report
from throughput.processes import System
from throughput.texts import n_words, read_notes, spread

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

PARTS = ("speed", "growth", "soak")
PRECISIONS = ("int8", "bf16", "fp32")
BATCH_SIZES = (1, 8, 32)


def main(
    corpus: Annotated[
        str, typer.Argument(help="The corpus that the models in training/ were trained on")
    ] = "mtsamples",
    model: Annotated[Path | None, typer.Option(help="en_clinner's folder")] = None,
    stock: Annotated[
        Path | None, typer.Option(help="What configs/transition.cfg trained; or else untrained")
    ] = None,
    int8: Annotated[Path | None, typer.Option(help="The CPU edition; made when missing")] = None,
    bf16: Annotated[Path | None, typer.Option(help="The same in bf16")] = None,
    fp32: Annotated[Path | None, typer.Option(help="The same in fp32")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Folder with text files, or .csv.xz as MTSamples' notes")
    ] = None,
    out: Annotated[Path, typer.Option(help="Reports, less their ending")] = Path(
        "metrics/benchmark/benchmark"
    ),
    chosen: Annotated[str, typer.Option("--parts", help="What to measure")] = ",".join(PARTS),
    notes: Annotated[int, typer.Option(help="Notes to read", min=1)] = 300,
    repeats: Annotated[int, typer.Option(help="Timed passes", min=1)] = 5,
    loads: Annotated[int, typer.Option(help="Times that each is loaded", min=1)] = 3,
    longest: Annotated[int, typer.Option(help="Words of the longest note", min=200)] = 100_000,
    soak: Annotated[int, typer.Option(help="Notes of the soak test", min=10)] = 20_000,
    threads: Annotated[int, typer.Option(help="0 for a thread on each core", min=0)] = 0,
) -> None:
    """Compare en_clinner and en_clinner_cpu with Hugging Face, stock spaCy and the bare runtime."""
    wanted = read_parts(chosen)
    everything, source = read_notes(texts)
    read = spread(everything, min(notes, len(everything)))
    trained = Path("training") / corpus
    model = model or trained / "clinner" / "model-best"
    results = _conditions(source, read, threads)
    remarks = results["remarks"]
    given = {"int8": int8, "bf16": bf16, "fp32": fp32}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nlp = prepare.load(model)
        remarks.append(f"en_clinner is {model}")
        editions = {
            precision: _edition(model, precision, given[precision], corpus, remarks)
            for precision in (PRECISIONS if "speed" in wanted else PRECISIONS[:1])
        }
        ours = _ours(model, editions, threads)
        if "speed" in wanted:
            cut = _cut(nlp, read, remarks)
            usual = trained / "transition/model-best"
            peers = _peers(nlp, stock, usual, folder, threads, remarks)
            bare = System("bare", "bare", str(editions["int8"]), 0, threads, True)
            systems = [*peers, *_bf16(model, folder / "bf16", threads), *ours.values(), bare]
            results["speed"] = parts.speed(systems, read, cut, folder, repeats, loads)
            parts.add_ratios(results["speed"])
        if "growth" in wanted:
            pair = [ours["torch"], ours["int8"]]
            results["growth"] = parts.growth(pair, read, folder, repeats, longest)
        if "soak" in wanted:
            results["soak"] = parts.soak(ours["int8"], everything, folder, soak)
    write(results, out)


def read_parts(chosen: str) -> list[str]:
    """The parts of `--parts`, in the order in which they are measured."""
    if unknown := set(chosen.split(",")) - set(PARTS):
        raise ClinnerError(f"--parts: no part {unknown.pop()!r}. Known: {', '.join(PARTS)}.")
    return [part for part in PARTS if part in chosen.split(",")]


def _conditions(source: Path, texts: list[str], threads: int) -> dict[str, Any]:
    """Where it is measured, and on what: the beginning of the results."""
    return {
        "machine": machine.facts(),
        "threads": threads,
        "texts": {"source": str(source), "notes": len(texts), "words": n_words(texts)},
        "remarks": [],
    }


def _edition(
    model: Path, precision: str, given: Path | None, corpus: str, remarks: list[str]
) -> Path:
    folder = model.parent / f"cpu-{precision}"
    typer.echo(f"CPU edition: {given or folder}", err=True)
    path, made = prepare.find_edition(model, precision, given, folder, Path("corpus") / corpus)
    if made:
        remarks.append(f"made {path}: {made}")
    return path


def _ours(model: Path, editions: dict[str, Path], threads: int) -> dict[str, System]:
    systems = {"torch": System("torch", "spacy", str(model), 0, threads)}
    for precision, path in editions.items():
        systems[precision] = System(precision, "spacy", str(path), 0, threads, True)
    return systems


def _cut(nlp: Language, texts: list[str], remarks: list[str]) -> list[str]:
    """What Hugging Face reads of the texts."""
    cut = prepare.cut_texts(nlp, texts)
    n_cut = sum(short != text for short, text in zip(cut, texts, strict=True))
    remarks.append(f"Hugging Face reads the start of {n_cut:,} notes, which are too long")
    return cut


def _bf16(model: Path, folder: Path, threads: int) -> list[System]:
    """`en_clinner` in bf16, where this CPU has it."""
    if not prepare.write_bf16(model, folder):
        return []
    return [System("torch_bf16", "spacy", str(folder), 0, threads)]


def _peers(
    nlp: Language,
    stock: Path | None,
    usual: Path,
    folder: Path,
    threads: int,
    remarks: list[str],
) -> list[System]:
    """Hugging Face at each batch size, and stock spaCy."""
    hugging_face = folder / "huggingface"
    prepare.write_hugging_face(nlp, hugging_face)
    if stock is None and usual.is_dir():
        stock = usual
    if stock is None:
        stock = folder / "stock"
        prepare.write_untrained_stock(nlp, hugging_face, stock)
        remarks.append(f"{usual} is missing: stock spaCy runs with the same encoder, untrained ner")
    else:
        prepare.check_stock(stock)
        remarks.append(f"stock spaCy is {stock}, trained")
    systems = [
        System(f"huggingface-{size}", "huggingface", str(hugging_face), size, threads)
        for size in BATCH_SIZES
    ]
    return [*systems, System("stock", "spacy", str(stock), 0, threads)]


def write(results: dict[str, Any], out: Path) -> None:
    """Write the reports, and show the text.

    results (dict[str, Any]): The results.
    out (Path): The files' path, less their ending.
    """
    shown = report.text(results)
    with written_whole(out.with_name(f"{out.name}.json")) as path:
        srsly.write_json(path, results)
    with written_whole(out.with_name(f"{out.name}.txt")) as path:
        path.write_text(shown, encoding="utf8")
    with written_whole(out.with_name(f"{out.name}.png")) as path:
        report.plot(results, path)
    typer.echo(shown)
    typer.echo(f"✔ {out}.txt, {out}.json, {out}.png")


if __name__ == "__main__":
    run(main)
