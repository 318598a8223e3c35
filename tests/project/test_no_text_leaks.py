"""What a training writes holds nothing of the notes that it read, but for reports that quote."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile

import pytest
from commands import clinner

pytest.importorskip("spacy_transformers")
pytest.importorskip("openvino")
from tiny_encoders import biomedbert
from toy_corpora import brat, write

from spacy_clinner.training import run

LABELS = {"negation": "NEGATION", "problem": "PROBLEM", "drug": "DRUG", "strength": "STRENGTH"}
LINKS = ("R1\thasAttr Arg1:T2 Arg2:T1", "R2\thasAttr Arg1:T3 Arg2:T4")
# By split: a name and a number that stand in the middle of its notes, and in an entity.
CANARIES = {
    "train": ("Zyxwolf", "55501234"),
    "dev": ("Quibbledorf", "55505678"),
    "test": ("Varnhoven", "55509876"),
}
QUOTING = {"errors.jsonl", "errors.html", "losses.jsonl"}


def planted(split, notes):
    """Files of a brat folder whose every note tells the canaries."""
    name, number = CANARIES[split]
    files = brat(notes, LABELS, LINKS)
    for at in notes:
        text = files[f"{at}.txt"]
        start = len(text)
        files[f"{at}.txt"] = f"{text}Seen by {name}, MRN {number}.\n{name} syndrome.\n"
        first = start + len(f"Seen by {name}, MRN {number}.\n")
        files[f"{at}.ann"] += f"T9\tPROBLEM {first} {first + len(name) + 9}\t{name} syndrome\n"
        # Of two that overlap, one is a loss, which the loss report quotes.
        files[f"{at}.ann"] += f"T8\tPROBLEM {first} {first + len(name)}\t{name}\n"
    return files


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which all commands have run over the planted notes, and what they printed."""
    folder = tmp_path_factory.mktemp("canaries")
    biomedbert(folder / "encoder")
    splits = {"train": range(16), "dev": range(16, 20), "test": range(20, 23)}
    for split, notes in splits.items():
        write(folder / "raw" / split, planted(split, notes))
    (folder / "corpora.toml").write_text(
        "[mine]\nformat = 'brat'\nlayers = ['clinical', 'modifiers']\n"
        + "".join(f"{split} = ['raw/{split}']\n" for split in splits),
        encoding="utf8",
    )
    config = run.__file__.replace("spacy_clinner/training/run.py", "configs/clinner.cfg")
    paths = ("--paths.train", "corpus/mine/train.spacy", "--paths.dev", "corpus/mine/dev.spacy",
             "--variables.encoder", "encoder")  # fmt: skip
    short = ("--variables.max_steps", 4, "--variables.warmup_steps", 1,
             "--variables.eval_frequency", 2)  # fmt: skip
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        # What a training leaves that is cut off: its checkpoints.
        patch.setattr(run, "move_models", keep_checkpoints)
        for arguments in (
            ("convert", "mine", "--catalog", "corpora.toml"),
            ("check", "corpus/mine", "--config", config, "--variables.encoder", "encoder"),
            ("train", config, "trained", *paths, *short),
            ("evaluate", "trained/model-best", "corpus/mine/test.spacy", "--out", "metrics"),
            ("optimize", "trained/model-best", "cpu", "--dev", "corpus/mine/dev.spacy",
             "--calibration", "corpus/mine/train.spacy", "--force"),
            ("package", "trained/model-best", "packages", "--name", "toy"),
            ("package", "cpu", "packages", "--name", "toy_cpu"),
        ):  # fmt: skip
            done = clinner(folder, *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
            printed.append(done.stdout + done.stderr)
    (folder / "printed.txt").write_text("\n".join(printed), encoding="utf8")
    return folder


def keep_checkpoints(partial, output, move=run.move_models):
    shutil.copytree(partial, partial.with_name("checkpoints"))
    move(partial, output)


def contents(path):
    """What a file holds: itself, and what is packed inside it."""
    data = path.read_bytes()
    yield path.name, data
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
            for member in filter(tarfile.TarInfo.isfile, archive.getmembers()):
                yield member.name, archive.extractfile(member).read()


@pytest.fixture(scope="module")
def found(project):
    """The files that hold a canary, and all files that were searched."""
    needles = [word.encode() for words in CANARIES.values() for word in words]
    needles += [needle.lower() for needle in needles]
    holding, searched = set(), set()
    for folder in ("trained", "checkpoints", "metrics", "cpu", "packages", "corpus/mine"):
        for path in (project / folder).rglob("*"):
            # A converted corpus is the notes.
            if not path.is_file() or path.suffix == ".spacy":
                continue
            for name, data in contents(path):
                searched.add(f"{path.relative_to(project)}: {name}")
                if any(needle in data for needle in needles):
                    holding.add(path.relative_to(project))
    return holding, searched


def test_only_reports_that_quote_hold_words_of_the_notes(found):
    holding, _ = found
    assert {path.name for path in holding} <= QUOTING


def test_what_was_searched_is_all_that_users_hand_on(found):
    _, searched = found
    for part in (
        "trained/model-best/vocab/strings.json", "trained/model-last/meta.json",
        "trained/training.json", "checkpoints/model-last/vocab/strings.json",
        "metrics/metrics.json", "metrics/errors.html", "cpu/vocab/strings.json",
        "en_toy-0.1.0-py3-none-any.whl: en_toy/en_toy-0.1.0/vocab/strings.json",
        "en_toy-0.1.0.tar.gz: en_toy-0.1.0/en_toy/en_toy-0.1.0/vocab/strings.json",
        "en_toy_cpu-0.1.0-py3-none-any.whl: en_toy_cpu/en_toy_cpu-0.1.0/vocab/strings.json",
    ):  # fmt: skip
        assert any(part in name for name in searched), part


def test_the_search_finds_what_is_there(found):
    holding, _ = found
    assert {path.name for path in holding} >= {"errors.jsonl", "losses.jsonl"}


def test_what_is_printed_holds_no_word_of_the_notes(project):
    printed = (project / "printed.txt").read_text(encoding="utf8")
    assert "model-best" in printed
    for word in (word for words in CANARIES.values() for word in words):
        assert word not in printed


def test_reports_that_quote_are_the_users_alone(project):
    reports = [path for path in project.rglob("*") if path.name in QUOTING]
    assert {path.name for path in reports} == QUOTING
    assert {stat.S_IMODE(path.stat().st_mode) for path in reports} == {0o600}
