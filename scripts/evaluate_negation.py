"""Score the negation rules on gold spans of NegEx, MTSamples or MACCROBAT."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.table import Table

from clinner.cli import run
from clinner.corpora.catalog import find_corpus, read_splits
from clinner.evaluation import negation
from clinner.evaluation.assertion import flag_scores


class Source(StrEnum):
    negex = "negex"
    mtsamples = "mtsamples"
    maccrobat = "maccrobat"


LAYERS = {Source.negex: "clinical", Source.mtsamples: "clinical", Source.maccrobat: "maccrobat"}
GOLD = {
    Source.mtsamples: negation.linked_negation,
    Source.maccrobat: negation.polarity_negation,
}


def main(
    source: Annotated[Source, typer.Argument(help="Which gold spans")],
    split: Annotated[str, typer.Option(help="train or test; NegEx has one set")] = "train",
    catalog: Annotated[Path, typer.Option()] = Path("configs/corpora.toml"),
    negex: Annotated[Path, typer.Option()] = Path("assets/negex/negex_dev.tsv"),
    errors: Annotated[int, typer.Option(help="How many errors to show")] = 0,
) -> None:
    """Precision, recall and F1 of `Span._.negated` by rules alone on the gold spans of SOURCE."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_context", config={"span_keys": [negation.GROUP]})
    notes = negation.read_negex(negex) if source is Source.negex else read(source, split, catalog)
    judged = list(negation.judge(nlp, notes, LAYERS[source]))
    scores = flag_scores([(item.mention.negated, item.predicted) for item in judged])
    table = Table("spans", "negated", "P", "R", "F1", title=f"{source.value}, rules alone")
    figures = (f"{100 * scores[key]:.1f}" for key in ("p", "r", "f"))
    table.add_row(f"{len(judged):,}", f"{scores['gold']:,}", *figures)
    console = Console()
    console.print(table)
    for item in [item for item in judged if item.predicted != item.mention.negated][:errors]:
        start, end = item.mention.start, item.mention.end
        kind = "missed" if item.mention.negated else f"wrong ({', '.join(item.evidence)})"
        left, right = item.text[max(0, start - 80) : start], item.text[end : end + 40]
        text = f"{kind}: {left}[{item.text[start:end]}]{right}"
        console.print(" ".join(text.split()), markup=False)


def read(source: Source, split: str, catalog: Path) -> Iterator[tuple[str, list[negation.Mention]]]:
    # Dev notes are training notes for rules: nothing is fitted to them by machine.
    wanted = {"test"} if split == "test" else {"train", "dev"}
    for note_split, note in read_splits(find_corpus(source.value, catalog)):
        if note_split in wanted:
            yield note.text, GOLD[source](note)


if __name__ == "__main__":
    run(main)
