"""Commands refuse bad input with one message, exit code 1 and no half output."""

import pytest
import spacy
from commands import clinner, refused
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab


@pytest.fixture
def catalog(tmp_path):
    def write(**entry):
        defaults = {"format": "brat", "layers": ["clinical"], "train": [str(tmp_path / "raw")]}
        lines = [f"{key} = {value!r}" for key, value in (defaults | entry).items()]
        path = tmp_path / "corpora.toml"
        path.write_text("[mine]\n" + "\n".join(lines) + "\n", encoding="utf8")
        (tmp_path / "raw").mkdir(exist_ok=True)
        return path

    return write


def convert(root, tmp_path, catalog, *options):
    out = tmp_path / "out"
    return clinner(root, "convert", "mine", "--catalog", catalog, "--out", out, *options)


def raw(tmp_path, name, content):
    path = tmp_path / "raw" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


GOOD = ("No fever today.\n", "T1\tPROBLEM 3 8\tfever\n")


def test_a_corpus_of_one_note_converts(root, tmp_path, catalog):
    raw(tmp_path, "a.txt", GOOD[0])
    raw(tmp_path, "a.ann", GOOD[1])
    done = convert(root, tmp_path, catalog())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/mine/train.spacy").is_file()
    assert "No losses" in done.stdout


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.ann": GOOD[1]}, ["a.ann", "a.txt"]),
        ({"a.txt": GOOD[0], "a.ann": "T1\tPROBLEM 3 99\tfever\n"}, ["a.ann", "99"]),
        ({"a.txt": b"fi\xe8vre today", "a.ann": "T1\tPROBLEM 0 6\tfi?vre\n"}, ["a.txt", "UTF-8"]),
        ({"a.txt": "", "a.ann": GOOD[1]}, ["a.ann"]),
        ({"a.txt": "", "a.ann": ""}, ["mine", "not one entity"]),
        ({"a.txt": GOOD[0], "a.ann": ""}, ["mine", "not one entity"]),
        ({"a.txt": GOOD[0], "a.ann": "T1\tSYMPTOM 3 8\tfever\n"}, ["a.ann", "SYMPTOM", "PROBLEM"]),
    ],
    ids=[
        "no .txt",
        "offset past the end",
        "not UTF-8",
        "empty text",
        "empty files",
        "no entity",
        "unknown label",
    ],
)
def test_bad_raw_files_are_refused_with_file_and_reason(root, tmp_path, catalog, files, says):
    for name, content in files.items():
        raw(tmp_path, name, content)
    assert refused(convert(root, tmp_path, catalog()), *says)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused_with_the_known_ones(root, tmp_path, catalog):
    assert refused(convert(root, tmp_path, catalog(format="docx")), "docx", "pubtator")


def test_an_unknown_corpus_is_refused_with_the_known_ones(root, tmp_path, catalog):
    assert refused(clinner(root, "convert", "mtsample"), "mtsample", "ncbi")


def test_strict_turns_a_loss_into_an_error(root, tmp_path, catalog):
    raw(tmp_path, "a.txt", GOOD[0])
    raw(tmp_path, "a.ann", "T1\tPROBLEM 3 7\tfeve\n")
    assert convert(root, tmp_path, catalog()).returncode == 0
    assert refused(convert(root, tmp_path, catalog(), "--strict"), "1 losses", "losses.jsonl")


@pytest.fixture
def converted(root, tmp_path, catalog):
    raw(tmp_path, "a.txt", GOOD[0])
    raw(tmp_path, "a.ann", GOOD[1])
    assert convert(root, tmp_path, catalog()).returncode == 0
    return tmp_path / "out/mine/train.spacy"


def train(root, tmp_path, corpus, *options):
    dev = corpus.with_name("dev.spacy")
    if corpus.is_file():
        dev.write_bytes(corpus.read_bytes())
    paths = ("--paths.train", corpus, "--paths.dev", dev)
    return clinner(root, "train", "configs/clinner.cfg", tmp_path / "trained", *paths, *options)


def test_an_encoder_that_is_not_there_is_refused(root, tmp_path, converted):
    done = train(root, tmp_path, converted, "--variables.encoder", "assets/no-such-encoder")
    assert refused(done, "assets/no-such-encoder", "spacy project run encoder")
    assert not (tmp_path / "trained").exists()


def test_a_gpu_where_none_is_is_refused(root, tmp_path, converted):
    here = ("--variables.encoder", tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf8")
    assert refused(
        train(root, tmp_path, converted, "--gpu-id", "7", *here), "gpu_id is 7", "cuda12x"
    )


def test_a_hub_name_that_is_not_in_the_cache_is_refused(root, tmp_path, converted):
    name = "none/no-such-encoder"
    named = ("--variables.encoder", name)
    assert refused(train(root, tmp_path, converted, *named), name, "spacy project run encoder")
    assert not (tmp_path / "trained").exists()
    folder = distinct_splits(tmp_path / "splits")
    checked = check(root, folder, "--config", "configs/clinner.cfg", *named)
    assert refused(checked, name, "spacy project run encoder")


def test_training_before_conversion_is_refused(root, tmp_path):
    assert refused(
        train(root, tmp_path, tmp_path / "none.spacy", "--variables.encoder", "a/b"), "none.spacy"
    )


def test_an_unknown_config_is_refused_with_the_known_ones(root, tmp_path):
    assert refused(clinner(root, "train", "configs/no.cfg", tmp_path), "configs/clinner.cfg")


def check(root, folder, *options):
    return clinner(root, "check", folder, *options)


def test_checking_with_an_unknown_config_is_refused_with_the_known_ones(root, converted):
    done = check(root, converted.parent, "--config", "configs/no.cfg")
    assert refused(done, "configs/no.cfg", "configs/clinner.cfg")


def test_checking_with_a_config_that_cannot_be_built_is_refused(root, tmp_path):
    config = tmp_path / "mine.cfg"
    shipped = (root / "configs/transition.cfg").read_text(encoding="utf8")
    config.write_text(shipped.replace('factory = "ner"', 'factory = "nope"'), encoding="utf8")
    (tmp_path / "config.json").write_text("{}", encoding="utf8")
    folder = distinct_splits(tmp_path / "splits")
    done = check(root, folder, "--config", config, "--variables.encoder", tmp_path)
    assert refused(done, "mine.cfg", "nope")


def distinct_splits(folder):
    folder.mkdir()
    for split in ("train", "dev", "test"):
        doc = Doc(Vocab(), words=["No", "fever", "in", split])
        doc.spans["clinical"] = [Span(doc, 1, 2, "PROBLEM")]
        doc.ents = list(doc.spans["clinical"])
        DocBin(docs=[doc], store_user_data=True).to_disk(folder / f"{split}.spacy")
    return folder


def test_an_error_in_initialising_stops_the_check(root, tmp_path):
    # A config.json, but neither a tokenizer nor weights.
    (tmp_path / "config.json").write_text("{}", encoding="utf8")
    folder = distinct_splits(tmp_path / "splits")
    options = ("--config", "configs/transition.cfg", "--variables.encoder", tmp_path)
    done = check(root, folder, *options)
    assert done.returncode == 1
    assert "Summary" not in done.stdout


def test_a_file_that_is_no_corpus_is_refused_by_every_clinner(root, tmp_path):
    splits = [tmp_path / f"{split}.spacy" for split in ("train", "dev", "test")]
    for path in splits:
        path.write_bytes(b"no corpus")
    (tmp_path / "model").mkdir()
    spacy.blank("en").to_disk(tmp_path / "model")
    says = ("train.spacy: not a .spacy file", "spacy project run convert")
    assert refused(train(root, tmp_path, splits[0]), *says)
    assert refused(clinner(root, "evaluate", tmp_path / "model", splits[0]), *says)
    assert refused(check(root, tmp_path), *says)


def test_a_corpus_of_the_catalog_without_test_notes_cannot_be_scored(root, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.txt").write_text("No fever.")
    (tmp_path / "raw/a.ann").write_text("T1\tPROBLEM 3 8\tfever\n")
    catalog = tmp_path / "mine.toml"
    catalog.write_text(
        f'[mine-alone]\nformat = "brat"\nlayers = ["clinical"]\ntrain = ["{tmp_path}/raw"]\n'
    )
    done = clinner(root, "evaluate", "en_any", "mine-alone", "--catalog", catalog)
    assert refused(done, f"{catalog}: [mine-alone] has no test notes", "holdout")


def test_an_option_that_the_config_does_not_have_is_refused(root, tmp_path, converted):
    done = train(root, tmp_path, converted, "--variables.nope", "3")
    assert refused(done, "--variables.nope", "clinner.cfg", "learn_rate")
    done = train(root, tmp_path, converted, "--nope", "3")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--nope" in done.stderr


def test_a_file_that_is_no_config_is_refused(root, tmp_path):
    (tmp_path / "x.cfg").write_text("not a config\n", encoding="utf8")
    assert refused(clinner(root, "train", tmp_path / "x.cfg", tmp_path / "out"), "x.cfg")
    assert not (tmp_path / "out").exists()


def test_evaluating_on_a_gpu_where_none_is_is_refused(root, tmp_path, converted):
    (tmp_path / "model").mkdir()
    done = clinner(root, "evaluate", tmp_path / "model", converted, "--gpu-id", "99")
    assert refused(done, "gpu_id is 99", "cuda12x")


def test_evaluating_a_folder_that_is_no_pipeline_is_refused(root, tmp_path, converted):
    model = tmp_path / "model"
    model.mkdir()
    assert refused(clinner(root, "evaluate", model, converted), "model: no trained pipeline")
    spacy.blank("en").to_disk(model)
    (model / "config.cfg").write_text("not a config\n", encoding="utf8")
    assert refused(clinner(root, "evaluate", model, converted), "model: no pipeline")


@pytest.mark.parametrize("fault", ["unknown factory", "no files"])
def test_what_cannot_be_loaded_is_one_message_of_every_command(root, tmp_path, fault):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": "fever"}])
    nlp.to_disk(tmp_path / "model")
    if fault == "no files":
        (tmp_path / "model/vocab/strings.json").unlink()
    else:
        config = tmp_path / "model/config.cfg"
        config.write_text(config.read_text().replace('"entity_ruler"', '"none_such"'))
    (tmp_path / "note.txt").write_text("No fever.")
    for arguments in (
        ("view", "model", "note.txt", "page.html"),
        ("benchmark", "model", "."),
        ("optimize", "model", "cpu", "--precision", "fp32", "--force"),
    ):
        assert refused(clinner(tmp_path, *arguments), "model: no pipeline that can be loaded")
    assert refused(clinner(tmp_path, "view", "none", "note.txt", "x"), "none: no pipeline that")


def test_evaluating_notes_by_a_model_that_is_named_last_is_refused(root, tmp_path, converted):
    spacy.blank("en").to_disk(tmp_path / "model")
    swapped = clinner(tmp_path, "evaluate", converted, "model")
    assert refused(swapped, f"{converted}, model: MODEL comes first")
    for kinds, told in (("none.csv", "No such file"), ("model", "Is a directory")):
        done = clinner(tmp_path, "evaluate", "model", converted, "--kinds", kinds)
        assert refused(done, f"{kinds}: cannot be read ({told}")


def test_learning_from_the_notes_that_choose_among_models_is_refused(root, tmp_path, converted):
    for corpora in ((converted, converted), (converted.parent, f"{converted.parent}/.")):
        paths = ("--paths.train", corpora[0], "--paths.dev", corpora[1])
        done = clinner(root, "train", tmp_path / "trained", "--from", "en_any", *paths)
        assert refused(done, f"--paths.dev {corpora[1]}: is learned from")


def test_evaluating_a_model_that_is_not_there_is_refused(root, tmp_path):
    assert refused(clinner(root, "evaluate", tmp_path / "model", tmp_path / "x.spacy"), "model")
