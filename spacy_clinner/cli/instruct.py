from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar


def command(
    corpus: Annotated[str, typer.Argument(help="Name of the corpus in the catalog")],
    out: Annotated[Path, typer.Argument(help="Folder that gets train, dev and test as .jsonl")],
    format: Annotated[str, typer.Option(help="kiwi, lines or json")],
    length: Annotated[int, typer.Option(help="The most tokens of a passage")] = 400,
    catalog: Annotated[
        Path, typer.Option(help="The catalog of corpora: their files, format and labels")
    ] = Path("configs/corpora.toml"),
) -> None:
    """Write an annotated CORPUS as chats, for a language model to be tuned on."""
    import spacy

    from spacy_clinner.corpora.catalog import SPLITS, find_corpus
    from spacy_clinner.llm.instruction_data import instruct
    from spacy_clinner.llm.prompts import find_format

    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    found = find_corpus(corpus, catalog)
    done = instruct(found, nlp, out, find_format(format), length=length, progress=bar)
    for split in SPLITS:
        typer.echo(
            f"✔ {out / split}.jsonl: {done.chats[split]:,} chats of {done.notes[split]:,} notes, "
            f"{done.mentions[split]:,} mentions"
        )
    typer.echo("ℹ They hold text of the notes: only you may read them (mode 0600)")
