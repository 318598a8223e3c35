"""The whole path on a processor: data, tuning, adapter, server, component, evaluation."""

import json
import runpy
import shutil
import stat
import threading
from pathlib import Path

import pytest
import spacy
import srsly
from commands import clinner, refused

from spacy_clinner.corpora.docbin import read_docs

pytest.importorskip("peft")
pytest.importorskip("transformers")
from tiny_llama import write_tiny_llama

from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.tuning import Tuning, read_chats

ROOT = Path(__file__).parents[2]
# How the notes differ is all that there is to learn.
NOTES = {"Has gout.": "gout", "Has rash.": "rash", "Is well.": None}
# Those of test are made of words that are known.
ENDS = {
    "train": ["at home", "at night", "by me at home", "by me"],
    "test": ["by me at night"],
}
CATALOG = """
[toy]
format = "brat"
layers = ["ncbi"]
train = ["toy/train"]
test = ["toy/test"]
"""


def write_corpus(folder):
    for split, ends in ENDS.items():
        (folder / "toy" / split).mkdir(parents=True)
        for at, (text, words) in enumerate(NOTES.items()):
            for end in ends:
                longer = f"{text} Seen {end}."
                note = folder / "toy" / split / f"{at} {end}.txt"
                note.write_text(longer, encoding="utf8")
                start = longer.find(words) if words else 0
                line = f"T1\tDISEASE {start} {start + len(words)}\t{words}\n" if words else ""
                note.with_suffix(".ann").write_text(line, encoding="utf8")
    (folder / "corpora.toml").write_text(CATALOG, encoding="utf8")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a model as small as this, threads only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A folder with a corpus, chats of it, a tiny model and its adapter in `tuned`."""
    folder = tmp_path_factory.mktemp("tuning")
    write_corpus(folder)
    for arguments in (
        ["convert", "toy", "--catalog", "corpora.toml"],
        ["instruct", "toy", "chats", "--format", "lines", "--catalog", "corpora.toml"],
    ):
        done = clinner(folder, *arguments)
        assert done.returncode == 0, done.stderr
    chats = read_chats(folder / "chats/train.jsonl")
    texts = [message["content"] for chat in chats for message in chat]
    write_tiny_llama(folder / "base", texts)
    options = ["--epochs", "40", "--learn-rate", "0.01", "--batch", "12", "--rank", "8"]
    done = clinner(folder, "tune", "chats/train.jsonl", folder / "base", "tuned", *options)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_chats_are_of_the_corpus_with_its_splits_apart(tuned):
    train, test = (read_chats(tuned / f"chats/{split}.jsonl") for split in ("train", "test"))
    assert (len(train), len(test)) == (12, 3)
    assert read_chats(tuned / "chats/dev.jsonl") == []
    first = next(chat for chat in train if "gout" in chat[1]["content"])
    assert [message["role"] for message in first] == ["system", "user", "assistant"]
    assert first[2]["content"] == "Entity: gout, Label: DISEASE"
    asked = {chat[1]["content"] for chat in train}
    assert not asked & {chat[1]["content"] for chat in test}
    for split in ("train", "dev", "test"):
        mode = (tuned / f"chats/{split}.jsonl").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_an_adapter_is_saved_as_safetensors_with_a_record(tuned):
    names = {path.name for path in (tuned / "tuned").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tuning.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    record = srsly.read_json(tuned / "tuned/tuning.json")
    assert (record["chats"], record["updates"]) == (12, 40)
    assert record["losses"][-1] < 0.1 < record["losses"][0]


def test_what_was_tuned_is_served_and_finds_what_it_learned(tuned):
    make_server = runpy.run_path(str(ROOT / "scripts/serve_llm.py"))["make_server"]
    server = make_server(str(tuned / "tuned"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        nlp = spacy.blank("en")
        url = f"http://127.0.0.1:{server.server_port}/v1"
        settings = {"layers": ["ncbi"], "format": "lines", "max_tokens": 30, "tries": 1}
        nlp.add_pipe("clinner_llm", config={"base_url": url, "model": "tiny", **settings})
        nlp.to_disk(tuned / "llm")
        done = clinner(tuned, "evaluate", "llm", "corpus/toy/test.spacy", "--out", "metrics")
        assert done.returncode == 0, done.stderr
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    metrics = srsly.read_json(tuned / "metrics/metrics.json")
    gold = read_docs(tuned / "corpus/toy/test.spacy", nlp.vocab)
    assert sum(len(doc.spans["ncbi"]) for doc in gold) == metrics["strict"]["ncbi"]["gold"] == 2
    assert metrics["strict"]["ncbi"]["f"] == 1


def test_chats_that_are_too_long_are_left_out_and_said(tuned):
    done = clinner(tuned, "tune", "chats/train.jsonl", tuned / "base", "none", "--length", "5")
    assert refused(done, "no chat has 5 tokens or fewer")


def test_time_may_be_bounded(tuned):
    options = ["--minutes", "0.01", "--epochs", "5000"]
    done = clinner(tuned, "tune", "chats/train.jsonl", tuned / "base", "short", *options)
    assert done.returncode == 0, done.stderr
    assert srsly.read_json(tuned / "short/tuning.json")["updates"] < 5000


def test_no_adapter_is_replaced_by_one_that_learned_nothing(tuned, tmp_path):
    shutil.copytree(tuned / "tuned", tmp_path / "out")
    before = (tmp_path / "out/tuning.json").read_bytes()
    chats = tuned / "chats/train.jsonl"
    done = clinner(tmp_path, "tune", chats, tuned / "base", "out", "--minutes", "1e-9")
    assert refused(done, "no update was made", "--minutes")
    assert (tmp_path / "out/tuning.json").read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *((name, 0) for name in ("rank", "alpha", "epochs", "batch", "at_once", "length")),
        *((name, -1) for name in ("rank", "epochs", "batch", "length", "minutes")),
        *((name, float("nan")) for name in ("learn_rate", "clip", "minutes", "dropout", "warmup")),
        ("learn_rate", 0.0),
        ("learn_rate", float("inf")),
        ("dropout", 1.0),
        ("warmup", 1.0),
    ],
)
def test_a_setting_that_is_out_of_range_is_refused(setting, value):
    with pytest.raises(ClinnerError, match=f"`{setting}` must be"):
        Tuning(**{setting: value})


@pytest.mark.parametrize("option", ["--batch", "--epochs", "--rank", "--alpha", "--length"])
def test_an_option_that_is_out_of_range_is_refused(tuned, option):
    done = clinner(tuned, "tune", "chats/train.jsonl", tuned / "base", "none", option, "0")
    assert done.returncode == 2
    assert option in done.stderr
    done = clinner(tuned, "tune", "chats/train.jsonl", "no model", "no", "--learn-rate", "nan")
    assert refused(done, "`learn_rate` must be")


def test_a_gpu_that_is_not_there_is_refused(tuned):
    done = clinner(tuned, "tune", "chats/train.jsonl", "no model", "none", "--gpu-id", "99")
    assert refused(done, "cuda:99", "--gpu-id -1")


def test_what_is_no_file_of_chats_is_refused(tuned, tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "fever"}), encoding="utf8")
    done = clinner(tmp_path, "tune", "x.jsonl", tuned / "base", "out")
    assert refused(done, "x.jsonl: not a file of chats")
    assert "fever" not in done.stderr
    done = clinner(tmp_path, "tune", "y.jsonl", tuned / "base", "out")
    assert refused(done, "y.jsonl: cannot be read")


USER, ASSISTANT = ({"role": role, "content": "x"} for role in ("user", "assistant"))
NO_CHATS = {
    "no content": [[USER, {"role": "assistant"}]],
    "no question": [[ASSISTANT]],
    "content that is no string": [[{"role": "user", "content": None}, ASSISTANT]],
    "a message that is none": [["x", ASSISTANT]],
    "no message": [[]],
    "no answer": [[ASSISTANT, USER]],
    "messages that are no list": ["xy"],
    "one of two": [[USER, ASSISTANT], [USER]],
}


@pytest.mark.parametrize("chats", NO_CHATS.values(), ids=NO_CHATS)
def test_what_is_no_chat_is_refused(tmp_path, chats):
    lines = (json.dumps({"messages": chat}) for chat in chats)
    (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf8")
    with pytest.raises(ClinnerError, match=r"x\.jsonl: not a file of chats"):
        read_chats(tmp_path / "x.jsonl")


def test_a_file_without_a_chat_is_refused(tuned):
    done = clinner(tuned, "tune", "chats/dev.jsonl", tuned / "base", "none")
    assert refused(done, "dev.jsonl: holds no chat")


def test_a_note_may_hold_any_end_of_line(tmp_path):
    chat = [
        {"role": "user", "content": "Text:\nfever\u2028pain\x85cough\x0cgout"},
        {"role": "assistant", "content": "No entities."},
    ]
    line = json.dumps({"messages": chat}, ensure_ascii=False)
    (tmp_path / "x.jsonl").write_text(f"{line}\n{line}\n", encoding="utf8")
    assert read_chats(tmp_path / "x.jsonl") == [chat, chat]


def test_nothing_but_an_earlier_adapter_is_replaced(tuned, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("mine", encoding="utf8")
    chats = tuned / "chats/train.jsonl"
    assert refused(clinner(tmp_path, "tune", chats, tuned / "base", "out"), "is not replaced")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.docx"]


def test_what_is_no_model_is_refused(tuned, tmp_path):
    done = clinner(tuned, "tune", "chats/train.jsonl", tmp_path, "out")
    assert refused(done, "no model that can be loaded")


def test_weights_that_are_damaged_are_refused(tuned, tmp_path):
    shutil.copytree(tuned / "base", tmp_path / "base")
    (tmp_path / "base/model.safetensors").write_bytes(b"no weights" * 100)
    done = clinner(tuned, "tune", "chats/train.jsonl", tmp_path / "base", "out")
    assert refused(done, "no model that can be loaded")


def test_an_unknown_format_is_refused(tuned):
    options = ["--format", "xml", "--catalog", "corpora.toml"]
    assert refused(clinner(tuned, "instruct", "toy", "out", *options), "unknown format 'xml'")
