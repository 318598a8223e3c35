"""Load an installed pipeline by name in this new process and run it over notes."""

from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError

NOTES = (
    "HPI: 64 yo M with 2 days of worsening shortness of breath. Denies chest pain or fever.",
    "Meds: lisinopril 10 mg PO daily, metformin 500 mg BID. No known drug allergies.",
    "CXR: no pneumothorax. Possible small left pleural effusion. WBC 13.2.",
    "",
)


def main(name: Annotated[str, typer.Argument(help="An installed pipeline")] = "en_clinner") -> None:
    """Load NAME and show what it finds."""
    try:
        nlp = spacy.load(name)
    except OSError:
        raise ClinnerError(
            f"{name}: not installed here. Run `spacy project run install`."
        ) from None
    docs = list(nlp.pipe(NOTES))
    table = Table(title=f"{name} {nlp.meta['version']}: {', '.join(nlp.pipe_names)}")
    for column in ("entity", "label", "confidence", "negated", "cue"):
        table.add_column(column)
    for doc in docs:
        for ent in doc.ents:
            confidence = ent._.confidence
            shown = "" if confidence is None else f"{confidence:.2f}"
            cue = ent._.negation_cue
            table.add_row(ent.text, ent.label_, shown, str(ent._.negated), cue.text if cue else "")
    Console().print(table)
    if not any(doc.ents for doc in docs):
        raise ClinnerError(f"{name} found not one entity in {len(NOTES)} notes: train it longer.")
    typer.echo(f"✔ {name} runs")


if __name__ == "__main__":
    run(main)
