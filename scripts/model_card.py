"""Write a model's card, and put it and its facts into the model's meta for the package."""

from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.evaluation.model_card import (
    CardInputs,
    card_facts,
    package_meta,
    render,
    write_meta,
)
from spacy_clinner.files import written_whole

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


def main(
    model: Annotated[Path, typer.Argument(help="A trained pipeline, or its CPU edition")],
    metrics: Annotated[Path, typer.Argument(help="Its metrics.json, on test")],
    corpus: Annotated[str, typer.Option(help="The corpus it learned from")],
    name: Annotated[str, typer.Option(help="The package's name")] = "en_clinner",
    version: Annotated[str, typer.Option(help="The package's version")] = "0.1.0",
    encoder: Annotated[str, typer.Option(help="The encoder's name in SOURCES")] = ENCODER,
    unlabelled: Annotated[
        list[str] | None, typer.Option(help="An unlabelled text of SOURCES that was used")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="What a CPU edition was made from: model-best beside it")
    ] = None,
    base_metrics: Annotated[Path | None, typer.Option(help="Its metrics, to compare")] = None,
    training: Annotated[
        Path | None, typer.Option(help="Facts of the training: training.json beside the model")
    ] = None,
    benchmark: Annotated[Path | None, typer.Option(help="benchmark.json")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help='A kind of text and its scores: "shorthand=FILE.json"')
    ] = None,
    converted: Annotated[Path, typer.Option(help="The converted corpora")] = Path("corpus"),
    catalog: Annotated[Path, typer.Option()] = Path("configs/corpora.toml"),
    sources: Annotated[Path, typer.Option()] = Path("configs/sources.toml"),
    out: Annotated[Path, typer.Option(help="The card")] = Path("MODEL_CARD.md"),
) -> None:
    """Write the card of MODEL from its METRICS, and run it over sentences that are hard."""
    parts = find_corpus(corpus, catalog).parts
    inputs = CardInputs(
        model=model,
        metrics=metrics,
        name=name,
        version=version,
        corpora={part.name: [scheme.layer for scheme in part.schemes] for part in parts},
        conversion=converted / corpus / "conversion.json",
        sources=sources,
        encoder=encoder,
        unlabelled=unlabelled or (),
        base=base or _if_there(model.parent / "model-best" / "meta.json", parent=True),
        base_metrics=base_metrics,
        training=training or _if_there(model.parent / "training.json"),
        benchmark=benchmark,
        kinds={name: Path(path) for name, _, path in (k.partition("=") for k in kind or ())},
    )
    facts = card_facts(inputs)
    card = render(facts)
    with written_whole(out) as path:
        path.write_text(card, encoding="utf8")
    meta = package_meta(facts, card)
    write_meta(model, meta)
    if inputs.base is not None:
        # The scores of an edition are not those of what it was made from.
        write_meta(inputs.base, {k: v for k, v in meta.items() if k != "performance"})
    right = sum(probe["is_right"] for probe in facts["probes"])
    typer.echo(f"✔ {out}, {model}/meta.json; {right} of {len(facts['probes'])} sentences right")


def _if_there(path: Path, parent: bool = False) -> Path | None:
    if not path.is_file():
        return None
    return path.parent if parent else path


if __name__ == "__main__":
    run(main)
