"""Score negation on gold spans of NegEx, MTSamples or MACCROBAT: rules alone, or with relations."""

import environment  # noqa: F401  # isort: skip

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import negation
from spacy_clinner.evaluation.assertion import flag_scores
from spacy_clinner.pipeline.context.assertion import COMBINE


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
    split: Annotated[
        str, typer.Option(help="train (dev notes too) or test; with --model train, dev or test")
    ] = "train",
    model: Annotated[
        Path | None, typer.Option(help="A trained pipeline: also score rules with its relations")
    ] = None,
    corpus: Annotated[Path, typer.Option(help="With --model, the converted corpora")] = Path(
        "corpus"
    ),
    combine: Annotated[str | None, typer.Option(help="With --model, only this way")] = None,
    catalog: Annotated[Path, typer.Option()] = Path("configs/corpora.toml"),
    negex: Annotated[Path, typer.Option()] = Path("assets/negex/negex_dev.tsv"),
    errors: Annotated[int, typer.Option(help="How many errors to show")] = 0,
) -> None:
    """Precision, recall and F1 of `Span._.negated` on the gold spans of SOURCE."""
    if model is not None:
        judged = with_relations(source, model, corpus / source.value / f"{split}.spacy", combine)
    else:
        nlp = spacy.blank(
            "en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
        )
        nlp.add_pipe("clinner_sentences")
        nlp.add_pipe("clinner_context", config={"span_keys": [negation.GROUP]})
        if source is Source.negex:
            notes = negation.read_negex(negex)
        else:
            notes = read(source, split, catalog)
        judged = {"rules alone": list(negation.judge(nlp, notes, LAYERS[source]))}
    show(f"{source.value} {split}, gold spans", judged, errors)


def with_relations(
    source: Source, model: Path, corpus: Path, combine: str | None
) -> dict[str, list[negation.Judged]]:
    if source is not Source.mtsamples:
        raise ClinnerError(f"{source.value} has no gold relations; --model goes with mtsamples.")
    if combine is not None and combine not in COMBINE:
        raise ClinnerError(f"--combine: one of {', '.join(COMBINE)}; got {combine!r}.")
    for path in (model, corpus):
        if not path.exists():
            raise ClinnerError(f"{path}: missing. Run the steps `convert` and `train` first.")
    nlp = spacy.load(model)
    references = read_docs(corpus, nlp.vocab)
    judged = negation.judge_with_relations(nlp, references)
    return {how: found for how, found in judged.items() if combine in (None, how)}


def show(title: str, judged: dict[str, list[negation.Judged]], errors: int) -> None:
    console = Console()
    table = Table("combine", "spans", "negated", "P", "R", "F1", title=title)
    for how, found in judged.items():
        scores = flag_scores([(item.mention.negated, item.predicted) for item in found])
        figures = (f"{100 * scores[key]:.1f}" for key in ("p", "r", "f"))
        table.add_row(how, f"{len(found):,}", f"{scores['gold']:,}", *figures)
    console.print(table)
    for how, found in judged.items() if errors else ():
        console.print(how)
        show_errors(console, found, errors)


def show_errors(console: Console, judged: Sequence[negation.Judged], errors: int) -> None:
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
