import json
from hashlib import sha256

import pytest

from spacy_clinner.annotation.spans import annotated_labels
from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.corpora.docbin import convert, read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml

MINE = "[mine]\nformat = 'brat'\nlayers = ['clinical']\ntrain = ['x']\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "corpora.toml"
        path.write_text(text, encoding="utf8")
        return path

    return write


def notes(folder, count):
    folder.mkdir()
    for i in range(count):
        (folder / f"n{i}.txt").write_text(f"Note {i}: no fever.\n", encoding="utf8")
        (folder / f"n{i}.ann").write_text("T1\tPROBLEM 11 16\tfever\n", encoding="utf8")


def test_the_projects_own_catalog_names_schemes_and_formats_that_exist(root):
    catalog = root / "configs/corpora.toml"
    corpora = {name: find_corpus(name, catalog) for name in read_toml(catalog, "missing")}
    assert {"sample", "mtsamples", "maccrobat", "ncbi", "bc5cdr"} <= set(corpora)
    assert corpora["mtsamples"].schemes[0].layer == "clinical"


def test_an_id_that_no_file_can_hold_is_written_otherwise(tmp_path, nlp, write):
    record = {"id": "n\ud800", "text": "No fever.", "label": [[3, 8, "PROBLEM"]]}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    entry = f"[mine]\nformat = 'jsonl'\nlayers = ['clinical']\ntrain = ['{tmp_path}/a.jsonl']\n"
    done = convert(find_corpus("mine", write(entry)), nlp, tmp_path / "out")
    assert sum(done.notes.values()) == 1


def test_held_out_notes_are_those_whose_hashed_ids_sort_first(tmp_path, write):
    notes(tmp_path / "raw", 10)
    entry = f"""[mine]
    format = "brat"
    layers = ["clinical"]
    train = ["{tmp_path}/raw"]
    holdout = {{ dev = 2, test = 3 }}
    """
    splits = {}
    for split, note in read_splits(find_corpus("mine", write(entry))):
        splits.setdefault(split, set()).add(note.id)
    order = sorted((f"n{i}" for i in range(10)), key=lambda i: sha256(i.encode()).hexdigest())
    assert splits == {"test": set(order[:3]), "dev": set(order[3:5]), "train": set(order[5:])}


def test_holding_out_every_note_is_refused(tmp_path, write):
    notes(tmp_path / "raw", 3)
    entry = f"""[mine]
    format = "brat"
    layers = ["clinical"]
    train = ["{tmp_path}/raw"]
    holdout = {{ dev = 3 }}
    """
    with pytest.raises(ClinnerError, match="3 of the 3 training notes"):
        list(read_splits(find_corpus("mine", write(entry))))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mine]\nformat = 'brat'\ntrain = ['x']\n", "layers"),
        ("[mine\n", "not a valid TOML"),
        ("mine = 'x'\n", "not a table"),
        (MINE.replace("['x']", "'raw'"), "train must be a list"),
        (MINE.replace("['clinical']", "'clinical'"), "layers must be a list"),
        (MINE + "holdout = 5\n", "holdout must give each split a number"),
        (MINE + "holdout = { dev = 'x' }\n", "holdout must give each split a number"),
        (MINE + "holdout = { train = 5 }\n", "unknown split 'train'"),
        (MINE + "ids = { tset = 'x' }\n", "unknown split 'tset'"),
        (MINE + "veiw = 'simple'\n", "unknown key 'veiw'"),
        (MINE + "view = 5\n", "view must be a string"),
        (MINE + "labels = 'DRUG'\n", "labels must be a list"),
        ("[mine]\nformat = 'brat'\nlayers = ['clinicel']\ntrain = ['x']\n", "clinicel"),
    ],
)
def test_a_catalog_that_is_not_right_is_refused_with_the_reason(write, text, says):
    with pytest.raises(ClinnerError, match=says):
        find_corpus("mine", write(text))


def test_a_catalog_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ClinnerError, match=r"none\.toml"):
        find_corpus("mine", tmp_path / "none.toml")


def test_a_bad_entry_does_not_stop_the_others(write):
    catalog = write(MINE + "[other]\nformat = 'brat'\nlayers = ['clinicel']\ntrain = ['x']\n")
    assert find_corpus("mine", catalog).format == "brat"
    with pytest.raises(ClinnerError, match="clinicel"):
        find_corpus("other", catalog)


def test_a_list_of_ids_is_of_the_split_and_not_of_each_of_its_files(tmp_path, write):
    for i in (1, 2):
        (tmp_path / f"{i}.txt").write_text(f"{i}|t|Fever\n{i}|a|None.\n", encoding="utf8")
    (tmp_path / "ids").write_text("1\n2\n", encoding="utf8")
    entry = f"""[mine]
    format = "pubtator"
    layers = ["ncbi"]
    train = ["{tmp_path}/1.txt", "{tmp_path}/2.txt"]
    ids = {{ train = "{tmp_path}/ids" }}
    """
    corpus = find_corpus("mine", write(entry))
    assert [note.id for _, note in read_splits(corpus)] == ["1", "2"]
    (tmp_path / "ids").write_text("1\n3\n", encoding="utf8")
    with pytest.raises(ClinnerError, match="1 of 2 ids"):
        list(read_splits(corpus))


def test_a_corpus_may_annotate_some_labels_and_leave_out_notes(tmp_path, write, nlp):
    notes(tmp_path / "raw", 3)
    entry = f"""[mine]
    format = "brat"
    layers = ["clinical"]
    labels = ["PROBLEM"]
    leave_out = ["n1"]
    train = ["{tmp_path}/raw"]
    """
    corpus = find_corpus("mine", write(entry))
    assert [note.id for _, note in read_splits(corpus)] == ["n0", "n2"]
    convert(corpus, nlp, tmp_path / "out")
    docs = read_docs(tmp_path / "out/train.spacy", nlp.vocab)
    assert [annotated_labels(doc, "clinical") for doc in docs] == [{"PROBLEM"}] * 2


def test_a_note_to_leave_out_that_the_corpus_does_not_have_is_told(tmp_path, write):
    notes(tmp_path / "raw", 2)
    entry = f"{MINE}leave_out = ['n1', 'n9']\n".replace("'x'", f"'{tmp_path}/raw'")
    with pytest.raises(ClinnerError, match="mine: leave_out of the catalog names 'n9'"):
        list(read_splits(find_corpus("mine", write(entry))))


def test_a_corpus_made_of_others_has_their_notes_and_layers(tmp_path, write, nlp):
    for name, count in (("a", 3), ("b", 2)):
        notes(tmp_path / name, count)
    entries = "".join(
        f"[{name}]\nformat = 'brat'\nlayers = ['clinical']\ntrain = ['{tmp_path}/{name}']\n"
        for name in "ab"
    )
    corpus = find_corpus("both", write(f"{entries}[both]\nof = ['a', 'b']\n"))
    assert [part.name for part in corpus.parts] == ["a", "b"]
    done = convert(corpus, nlp, tmp_path / "out")
    assert done.spans["train"] == {"clinical/PROBLEM": 5}


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("of = []", "has one key"),
        ("of = ['mine']\nformat = 'brat'", "has one key"),
        ("of = ['theirs']", "names 'theirs', which is no corpus"),
        ("of = ['both']", "names 'both', which is no corpus"),
    ],
)
def test_a_wrong_list_of_corpora_is_one_message(write, of, message):
    with pytest.raises(ClinnerError, match=message):
        find_corpus("both", write(f"{MINE}[both]\n{of}\n"))
