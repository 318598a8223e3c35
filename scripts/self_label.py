"""Label texts with a model, for its student to learn from: the notes that it is surest of."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import random
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from spacy.tokens import Doc, DocBin

from clinner.cli import run
from clinner.corpora.unlabelled import read_texts
from clinner.errors import ClinnerError
from clinner.files import written_whole
from clinner.pipeline.loading import load_pipeline
from clinner.training import use_gpu


def main(
    model: Annotated[Path, typer.Argument(help="A trained pipeline")],
    texts: Annotated[Path, typer.Argument(help="A .csv or .csv.xz file, or a .spacy file")],
    out: Annotated[Path, typer.Argument(help="The .spacy file to write")],
    exclude: Annotated[list[Path], typer.Option(help="Files whose texts are left out")],
    layer: Annotated[list[str], typer.Option(help="A layer to keep")],
    notes: Annotated[int, typer.Option(help="How many texts to label, chosen by chance")] = 800,
    keep: Annotated[float, typer.Option(help="Which part of them to keep")] = 0.5,
    seed: Annotated[int, typer.Option()] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Run MODEL over TEXTS and keep the notes with the highest mean confidence."""
    found = read_texts([texts], exclude)
    random.Random(seed).shuffle(found)
    use_gpu(gpu_id)
    nlp = load_pipeline(model)
    docs = track(nlp.pipe(found[:notes]), total=min(notes, len(found)), transient=True)
    labelled = [(confidence(doc, layer), doc) for doc in docs]
    labelled.sort(key=lambda pair: -pair[0])
    bin_ = DocBin(store_user_data=True)
    kept = [doc for _, doc in labelled[: round(keep * len(labelled))]]
    if not kept:
        raise ClinnerError(f"{texts}: no text is left to label after --exclude and --keep.")
    for doc in kept:
        for key in [key for key in doc.spans if key not in layer]:
            del doc.spans[key]
        doc.tensor = doc.tensor[:0]
        if doc.has_extension("trf_data"):
            doc._.trf_data = None
        bin_.add(doc)
    with written_whole(out) as path:
        bin_.to_disk(path)
    typer.echo(f"✔ {out}: {len(kept)} of {len(labelled)} notes, {sum(map(len, kept)):,} tokens")


def confidence(doc: Doc, layers: list[str]) -> float:
    """The mean confidence of a document's spans; 0 where it has none."""
    values = [span._.confidence for layer in layers for span in doc.spans.get(layer, ())]
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    run(main)
