"""Make the released model's encoder and heads: a teacher learns on a GPU, and a student from it.

`prepare` turns texts into arrays here; `scripts/distillation/on_gpu.py teach` and `learn` run
beside each other where the GPU is; `assemble` makes a pipeline of what the student learned, which
`clinner train --from` goes on with (its relations have learned nothing yet).
"""

import json
import random
import tomllib
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from distillation.documents import labels_of, of_docs
from rich.progress import track

from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError

CONFIG = Path("configs/distillation.toml")
# A text of fewer words says little.
FEWEST_WORDS = 12
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def prepare(
    student: Annotated[str, typer.Argument(help="Folder of the student's encoder")],
    teacher: Annotated[str, typer.Argument(help="Folder of the teacher's encoder")],
    out: Annotated[Path, typer.Argument(help="Folder for the arrays")],
    config: Annotated[Path, typer.Option(help="What to learn from")] = CONFIG,
) -> None:
    """Turn corpora and texts into arrays."""
    from transformers import AutoTokenizer

    with config.open("rb") as file:
        given = tomllib.load(file)
    out.mkdir(parents=True, exist_ok=True)
    tokenizers: list[Any] = [AutoTokenizer.from_pretrained(name) for name in (student, teacher)]  # type: ignore[no-untyped-call]
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    files = {name: f"gold{at}" for at, name in enumerate(given["gold"])}
    others = [*given["evaluate"]["files"], *given["folds"]["corpora"], *given["folds"]["beside"]]
    for name in others:
        files.setdefault(name, f"held{len(files)}")
    docs = {name: list(read_docs(Path(name), nlp.vocab)) for name in files}
    labels = labels_of(docs[name] for name in given["gold"])
    for name, file in files.items():
        found = of_docs(docs[name], tokenizers[0], labels, lambda r, n=name: track(r, n))
        found.save(out / f"{file}.npz")
    for name, texts in given["texts"].items():
        blank = [nlp.make_doc(text) for text in chosen(texts, given)]
        of_docs(blank, tokenizers[0], {}, lambda r, n=name: track(r, n)).save(out / f"{name}.npz")
    plan = {
        "labels": labels,
        "gold": {files[name]: share for name, share in given["gold"].items()},
        "evaluate": {files[name]: name for name in given["evaluate"]["files"]},
        "texts": {name: texts["layers"] for name, texts in given["texts"].items()},
        "folds": given["folds"] | {
            which: [files[name] for name in given["folds"][which]]
            for which in ("corpora", "beside")
        },
        "student": given["student"] | of_tokenizer(tokenizers[0], tokenizers[0]),
        "teacher": given["teacher"] | of_tokenizer(tokenizers[1], tokenizers[0]),
    }  # fmt: skip
    plan["files"] = files
    (out / "plan.json").write_text(json.dumps(plan), encoding="utf8")
    typer.echo(f"✔ {out}: {sum(f.stat().st_size for f in out.glob('*.npz')) / 1e6:.0f} MB")


@app.callback()
def several() -> None:
    """Commands by name."""


def chosen(texts: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """Texts without those that are evaluated on; long files give no more than `limit` texts."""
    held = [Path(name) for name in (*given["evaluate"]["files"], *given["folds"]["corpora"])]
    held += [Path(name) for name in given["dev"]["files"]]
    found = []
    for file in texts["files"]:
        some = [t for t in read_texts([Path(file)], held) if len(t.split()) >= FEWEST_WORDS]
        random.Random(0).shuffle(some)
        found += some[: texts["limit"]]
    return found


def of_tokenizer(tokenizer: Any, first: Any) -> dict[str, Any]:
    """What the GPU's side needs of a tokenizer.

    tokenizer (PreTrainedTokenizerFast): The tokenizer.
    first (PreTrainedTokenizerFast): The one that cuts the texts; the other has its pieces.
    RETURNS (dict): "renumber" (by the first one's number), "continues", and "special" pieces.
    RAISES (ClinnerError): The two cut texts into other pieces.
    """
    own, other = tokenizer.get_vocab(), first.get_vocab()
    unknown = tokenizer.unk_token_id
    renumber = [unknown] * (max(other.values()) + 1)
    for piece, number in other.items():
        renumber[number] = own.get(piece, unknown)
    if sum(number == unknown for number in renumber) > len(renumber) // 100:
        raise ClinnerError(f"{tokenizer.name_or_path}: has not the pieces of the student's.")
    continues = [False] * (max(own.values()) + 1)
    for piece, number in own.items():
        continues[number] = piece.startswith("##")
    special = {
        "first": tokenizer.cls_token_id,
        "last": tokenizer.sep_token_id,
        "padding": tokenizer.pad_token_id,
        "mask": tokenizer.mask_token_id,
    }
    return {"renumber": renumber, "continues": continues, "special": special}


if __name__ == "__main__":
    run(app)
