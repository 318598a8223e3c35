"""Make the released model's encoder and heads: a teacher learns on a GPU, and a student from it.

`prepare` turns texts into arrays; `learn` runs `distillation/on_gpu.py` twice, once for each,
and may run on another machine, which needs no spaCy and sees no text; `assemble` makes a pipeline
of what the student learned, which `clinner train --from` goes on with (its relations have learned
nothing yet).
"""

import json
import random
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import torch
import typer
from distillation.documents import labels_of, of_docs
from rich.progress import track
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config, registry

from spacy_clinner.architectures.layered_tagger import head_scale
from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import SCHEMES, read_docs
from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.schemes import of_layers, write_schemes
from spacy_clinner.training.provenance import MADE

CONFIG = Path("configs/distillation.toml")
CORPORA = (
    "sample", "notes", "mtsamples", "maccrobat", "ncbi-train-dev", "bc5cdr-train-dev", "release",
    "release-2",
)  # fmt: skip
# A text of fewer words says little.
FEWEST_WORDS = 12
# Documents of each set of layers, by which a pipeline is made.
SAMPLE = 30
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def convert() -> None:
    """Convert all corpora that the released model learns from or is scored on."""
    for name in CORPORA:
        command = [sys.executable, "-m", "spacy_clinner", "convert", name]
        if subprocess.run(command, check=False).returncode:
            raise ClinnerError(f"{name} was not converted; see above.")


@app.command()
def prepare(
    student: Annotated[str, typer.Argument(help="Folder of the student's encoder")],
    teacher: Annotated[str, typer.Argument(help="Folder of the teacher's encoder")],
    out: Annotated[Path, typer.Argument(help="Folder for the arrays")],
    config: Annotated[Path, typer.Option(help="What to learn from")] = CONFIG,
) -> None:
    """Turn corpora and texts into arrays; arrays of texts that are there already are kept."""
    from transformers import AutoTokenizer

    given = tomllib.loads(config.read_text(encoding="utf8"))
    out.mkdir(parents=True, exist_ok=True)
    tokenizers: list[Any] = [AutoTokenizer.from_pretrained(name) for name in (student, teacher)]  # type: ignore[no-untyped-call]
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    files = {name: f"gold{at}" for at, name in enumerate(given["gold"])}
    others = [*given["evaluate"]["files"], *given["folds"]["corpora"], *given["folds"]["beside"]]
    for name in others:
        files.setdefault(name, f"held{len(files)}")
    read: dict[str, list[Doc]] = {}
    docs = {name: named(nlp, name, read) for name in files}
    labels = labels_of(docs[name] for name in given["gold"])
    for name, file in files.items():
        found = of_docs(docs[name], tokenizers[0], labels, lambda r, n=name: track(r, n))
        found.save(out / f"{file}.npz")
    for name, texts in given["texts"].items():
        if not (path := out / f"{name}.npz").exists():
            blank = [nlp.make_doc(text) for text in chosen(texts, given, read)]
            of_docs(blank, tokenizers[0], {}, lambda r, n=name: track(r, n)).save(path)
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
        "files": files,
    }  # fmt: skip
    write_sample([doc for name in given["gold"] for doc in docs[name]], out)
    (out / "plan.json").write_text(json.dumps(plan), encoding="utf8")
    typer.echo(f"✔ {out}: {sum(f.stat().st_size for f in out.glob('*.npz')) / 1e6:.0f} MB")


@app.command()
def learn(
    student: Annotated[str, typer.Argument(help="Folder of the student's encoder")],
    teacher: Annotated[str, typer.Argument(help="Folder of the teacher's encoder")],
    data: Annotated[Path, typer.Argument(help="Folder that `prepare` wrote")],
    out: Annotated[Path, typer.Argument(help="Folder for what the student learns")],
) -> None:
    """Run teacher and student beside each other on this machine's GPU."""
    remove_earlier(out)
    script = str(Path(__file__).parent / "distillation" / "on_gpu.py")
    parts = [("learn", student), ("teach", teacher)]
    running = [
        subprocess.Popen([sys.executable, script, part, str(data), encoder, str(out)])
        for part, encoder in parts
    ]
    # Without the teacher's labels the student would wait for ever.
    if running[1].wait():
        running[0].kill()
    if any(process.wait() for process in running):
        raise ClinnerError("teacher or student failed; see above.")
    typer.echo(f"✔ {out}")


def remove_earlier(out: Path) -> None:
    """Remove what an earlier run left, lest the student learn from its teacher's labels, or parts
    of two students come together."""
    for earlier in (*out.glob("*.pt"), *out.glob("student-*.npz"), *out.glob("*.json")):
        earlier.unlink()


def write_sample(docs: list[Doc], folder: Path) -> None:
    """Some documents of each set of layers, with their schemes: what a pipeline is made from."""
    seen: Counter[tuple[str, ...]] = Counter()
    sample = DocBin(store_user_data=True)
    for doc in docs:
        layers = tuple(sorted(doc.spans))
        seen[layers] += 1
        if seen[layers] <= SAMPLE:
            sample.add(doc)
    with written_whole(folder / "sample.spacy", private=True) as path:
        sample.to_disk(path)
    layers_found = {layer: None for layers in seen for layer in layers}
    with written_whole(folder / SCHEMES) as path:
        write_schemes(path, of_layers(layers_found).values())


@app.callback()
def several() -> None:
    """Commands by name."""


def named(nlp: Language, name: str, read: dict[str, list[Doc]]) -> list[Doc]:
    """The documents of FILE, of FILE#LAYER those that annotate the layer, and of FILE*COPIES so
    many augmented ones of each.

    nlp (Language): A pipeline with the tokenizer.
    name (str): The name.
    read (dict[str, list[Doc]]): The files that were read before; gets this one.
    RETURNS (list[Doc]): The documents.
    """
    file, _, copies = name.partition("*")
    file, _, layer = file.partition("#")
    if file not in read:
        read[file] = list(read_docs(Path(file), nlp.vocab))
    docs = [doc for doc in read[file] if not layer or layer in doc.spans]
    if not copies:
        return docs
    rates = load_config("configs/clinner.cfg").interpolate()["corpora"]["train"]["augmenter"]
    augment = registry.resolve({"augmenter": rates | {"level": 1.0}})["augmenter"]
    found = []
    for doc in docs * int(copies):
        blank = Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc])
        found += [e.reference for e in augment(nlp, Example(blank, doc)) if e.reference is not doc]
    return found


def chosen(texts: dict[str, Any], given: dict[str, Any], read: dict[str, list[Doc]]) -> list[str]:
    """Texts without those that are evaluated on; long files give no more than `limit` texts."""
    held = [Path(name) for name in (*given["evaluate"]["files"], *given["folds"]["corpora"])]
    held += [Path(name) for name in given["dev"]["files"]]
    found = []
    for file in texts["files"]:
        if "#" in file:
            # Converted corpora have no copies of what is evaluated.
            every = [doc.text for doc in named(spacy.blank("en"), file, read)]
        else:
            every = read_texts([Path(file)], held)
        some = [text for text in every if len(text.split()) >= FEWEST_WORDS]
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


@app.command()
def assemble(
    encoder: Annotated[Path, typer.Argument(help="Folder of the student's encoder, for its kind")],
    data: Annotated[Path, typer.Argument(help="Folder that `prepare` wrote")],
    learned: Annotated[Path, typer.Argument(help="Folder with what the student learned")],
    out: Annotated[Path, typer.Argument(help="Folder for the pipeline")],
) -> None:
    """Make a pipeline of what the student learned; its relations have learned nothing yet."""
    labels = json.loads((data / "plan.json").read_text(encoding="utf8"))["labels"]
    overrides = {
        "paths.train": str(data / "sample.spacy"),
        "paths.dev": str(data / "sample.spacy"),
        "variables.encoder": str(encoder),
        "variables.max_steps": 1,
        "variables.warmup_steps": 1,
        "variables.eval_frequency": 1,
        "initialize.components.ner.labels": labels,
        "components.ner.layers": list(labels),
    }
    nlp = init_nlp(load_config("configs/clinner.cfg", overrides), use_gpu=-1)
    weights = student_weights(learned)
    ner: Any = nlp.get_pipe("ner")
    heads = ner.model.get_ref("output_layer")
    scale = head_scale(ner.model)
    order = ner.layer_labels
    if order != labels:
        raise ClinnerError(f"{data}: its labels are not those of its sample.")
    for name, part in (("W", "weight"), ("b", "bias")):
        rows = [weights[f"heads.{layer}.{part}"].astype("f") / scale for layer in order]
        heads.set_param(name, np.concatenate(rows))
    transformer: Any = nlp.get_pipe("transformer")
    state = {
        name.removeprefix("encoder."): torch.from_numpy(value.astype("f"))
        for name, value in weights.items()
        if name.startswith("encoder.")
    }
    missing, unknown = transformer.model.transformer.load_state_dict(state, strict=False)
    if unknown or any(not name.startswith("pooler.") for name in missing):
        raise ClinnerError(f"{learned}: weights of another encoder than {encoder}.")
    nlp.meta[MADE] = [
        json.loads(path.read_text(encoding="utf8"))
        for path in (learned / f"{which}.json" for which in ("teacher", "student"))
        if path.is_file()
    ]
    without_texts(nlp).to_disk(out)
    typer.echo(f"✔ {out}")


def student_weights(folder: Path) -> dict[str, Any]:
    """The weights that the student's files hold, those in two parts together."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("student-*.npz")):
        if path.stem != "student-scores":
            with np.load(path) as file:
                found |= {name: file[name] for name in file.files}
    for name in [name for name in found if name.endswith("|0")]:
        whole = name[:-2]
        found[whole] = np.concatenate([found.pop(name), found.pop(f"{whole}|1")])
    return found


if __name__ == "__main__":
    run(app)
