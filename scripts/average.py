"""The mean of two pipelines' weights, one of which went on from the other (Wortsman et al., 2022):
what the first knew of texts without labels, and what the second learned from gold."""

from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.training import Example

from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import folder_written_whole
from spacy_clinner.packaging import keep_layers
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.training.averaging import average_component
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
    theirs, ours = (
        {name: nlp.get_pipe(name) for name in ("transformer", "ner")} for nlp in (first, second)
    )
    check_labels(theirs["ner"], ours["ner"])
    for name, component in ours.items():
        average_component(component, theirs[name], 0.5)
    keep_layers(second, layer)
    docs = read_docs(dev, second.vocab)
    examples = [Example(second.make_doc(doc.text), doc) for doc in docs]
    fit_temperatures(second, spread(examples, CALIBRATE_ON), "ner")
    with folder_written_whole(out.resolve()) as folder:
        without_texts(second).to_disk(folder)
    typer.echo(f"✔ {out}")


def check_labels(first: Any, second: Any) -> None:
    """Stop where two components do not learn the same."""
    if first.layer_labels != second.layer_labels:
        raise ClinnerError("the two pipelines have other layers or labels.")


if __name__ == "__main__":
    run(main)
