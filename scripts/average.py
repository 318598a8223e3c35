"""The mean of two pipelines' weights, one of which went on from the other (Wortsman et al., 2022):
what the first knew of texts without labels, and what the second learned from gold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from spacy.language import Language
from spacy.training import Example

from spacy_clinner.architectures.layered_tagger import head_scale
from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_folder, folder_written_whole, written_whole
from spacy_clinner.packaging import keep_layers
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.training.averaging import average_component
from spacy_clinner.training.calibration import fit_temperatures
from spacy_clinner.training.callbacks import spread
from spacy_clinner.training.preparation import load_trainable
from spacy_clinner.training.provenance import COUNTS, MADE

CALIBRATE_ON = 100


def main(
    earlier: Annotated[Path, typer.Argument(help="The pipeline that was gone on from")],
    later: Annotated[Path, typer.Argument(help="What came of it; its relations are kept")],
    out: Annotated[Path, typer.Argument(help="Folder for the pipeline")],
    dev: Annotated[Path, typer.Option(help="A .spacy file to calibrate on")],
    layer: Annotated[list[str], typer.Option(help="A layer to keep, once for each")],
) -> None:
    """Average EARLIER and LATER, keep some layers, and calibrate.

    What is known of how both were made goes to training.json beside OUT, for the model card.
    """
    check_folder(out, "meta.json", [earlier, later, dev])
    first, second = load_trainable(earlier), load_trainable(later)
    check_components(earlier, first)
    check_components(later, second)
    check_encoders(first.get_pipe("transformer"), second.get_pipe("transformer"))
    check_heads(first.get_pipe("ner"), second.get_pipe("ner"))
    for name in ("transformer", "ner"):
        average_component(second.get_pipe(name), first.get_pipe(name), 0.5)
    keep_layers(second, layer)
    docs = read_docs(dev, second.vocab)
    examples = [Example(second.make_doc(doc.text), doc) for doc in docs]
    fit_temperatures(second, spread(examples, CALIBRATE_ON), "ner")
    with folder_written_whole(out) as folder:
        without_texts(second).to_disk(folder)
    training = later.parent / "training.json"
    if training.is_file():
        with written_whole(out.parent / "training.json") as path:
            facts = srsly.read_json(training)
            srsly.write_json(path, facts | {MADE: made(first, second, facts)})
    typer.echo(f"✔ {out}")


def check_components(path: Path, nlp: Language) -> None:
    """Stop where a pipeline lacks what is averaged."""
    for name, factory in (("transformer", "transformer"), ("ner", "clinner_ner")):
        if nlp.pipe_factories.get(name) != factory:
            raise ClinnerError(f"{path}: has no component {name!r} made by {factory!r}.")


def made(earlier: Language, later: Language, training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the mean came to be, one step of several pipelines after the other.

    earlier (Language), later (Language): The pipelines.
    training (Mapping[str, Any]): What is known of the training of the later one.
    RETURNS (list[dict[str, Any]]): As `scripts/distillation/on_gpu.py` begins it.
    """
    counted = later.meta.get(COUNTS, {})
    last = {
        "what": "gold, from the one above on",
        "seconds": training.get("seconds"),
        "updates": training.get("steps"),
        "kept": counted.get("step"),
    }
    mean = {"what": "mean of the weights of the two above, calibrated on dev"}
    return [
        *earlier.meta.get(MADE, []),
        {
            "model": "student" if MADE in earlier.meta else "pipeline",
            **training.get("hardware", {}),
            "steps": [last],
        },
        {"model": "released", "steps": [mean]},
    ]


def check_encoders(first: Any, second: Any) -> None:
    """Stop where two encoders' weights have no mean."""
    theirs, ours = (pipe.model.transformer.state_dict() for pipe in (first, second))
    if {name: w.shape for name, w in theirs.items()} != {n: w.shape for n, w in ours.items()}:
        raise ClinnerError(
            "the two pipelines have other encoders, whose weights have no mean. Give a pipeline "
            "and one that `clinner train --from` made of it."
        )


def check_heads(first: Any, second: Any) -> None:
    """Stop where two components do not learn the same."""
    if first.layer_labels != second.layer_labels:
        raise ClinnerError(
            "the two pipelines have other layers or labels, so that their heads have no mean. Give "
            "a pipeline and one that `clinner train --from` made of it with the same labels."
        )
    if head_scale(first.model) != head_scale(second.model):
        raise ClinnerError("the two pipelines have other values of `head_rate`.")


if __name__ == "__main__":
    run(main)
