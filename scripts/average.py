"""The mean of two pipelines' weights, one of which went on from the other (Wortsman et al., 2022):
what the first knew of texts without labels, and what the second learned from gold."""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from spacy.training import Example

from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import folder_written_whole
from spacy_clinner.packaging import keep_layers
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.training.calibration import fit_temperatures
from spacy_clinner.training.callbacks import spread

CALIBRATE_ON = 100


def main(
    earlier: Annotated[Path, typer.Argument(help="The pipeline that was gone on from")],
    later: Annotated[Path, typer.Argument(help="What came of it; its relations are kept")],
    out: Annotated[Path, typer.Argument(help="Folder for the pipeline")],
    dev: Annotated[Path, typer.Option(help="A .spacy file to calibrate on")],
    layer: Annotated[list[str], typer.Option(help="A layer to keep, once for each")],
) -> None:
    """Average EARLIER and LATER, keep some layers, and calibrate."""
    first, second = load_pipeline(earlier), load_pipeline(later)
    average(first.get_pipe("transformer"), second.get_pipe("transformer"))
    average_heads(first.get_pipe("ner"), second.get_pipe("ner"))
    keep_layers(second, layer)
    docs = read_docs(dev, second.vocab)
    examples = [Example(second.make_doc(doc.text), doc) for doc in docs]
    fit_temperatures(second, spread(examples, CALIBRATE_ON), "ner")
    with folder_written_whole(out.resolve()) as folder:
        without_texts(second).to_disk(folder)
    typer.echo(f"✔ {out}")


def average(first: Any, second: Any) -> None:
    """Give the second transformer the mean of both encoders' weights."""
    theirs = first.model.transformer.state_dict()
    with torch.no_grad():
        for name, weights in second.model.transformer.state_dict().items():
            if weights.is_floating_point():
                weights.copy_((weights + theirs[name]) / 2)


def average_heads(first: Any, second: Any) -> None:
    """Give the second component the mean of both components' heads."""
    if first.layer_labels != second.layer_labels:
        raise ClinnerError("the two pipelines have other layers or labels.")
    theirs, ours = (pipe.model.get_ref("output_layer") for pipe in (first, second))
    for name in ("W", "b"):
        ours.set_param(name, (ours.get_param(name) + theirs.get_param(name)) / 2)


if __name__ == "__main__":
    run(main)
