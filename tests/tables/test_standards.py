"""OMOP and FHIR by the command."""

import json

import pyarrow.dataset as ds
import pytest
from commands import clinner
from fhir.resources.R4B.bundle import Bundle
from pipelines import BAD, failing

from spacy_clinner.tables.omop_check import check_note_nlp

NOTES = (
    "note_id,text,person\n1,Denies fever.,p1\n2,,p2\n3,Mother had chest pain.,p3\n"
    f"4,{BAD} fever,p4\n1,Has fever again.,p1\n5,Took aspirin. Has fever.,p5\n"
)

STATUSES = [
    ("1", "ok", None),
    ("2", "empty", None),
    ("3", "ok", None),
    ("4", "failed", "RuntimeError in breaks"),
    ("1", "failed", "a second note with this id"),
    ("5", "ok", None),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    failing().to_disk(folder)
    return folder


@pytest.fixture
def annotate(model, tmp_path):
    """`clinner annotate`, of notes of which two fail."""
    (tmp_path / "notes.csv").write_text(NOTES, encoding="utf8")

    def run(*options, source="notes.csv", out=("out",)):
        how = ("--piece", "2", "--processes", "1")
        return clinner(tmp_path, "annotate", model, source, *out, *how, *options)

    return run


def test_the_command_writes_note_nlp(annotate, tmp_path):
    (tmp_path / "codes.csv").write_text("text,concept_id\nfever,437663\n", encoding="utf8")
    done = annotate("--format", "omop", "--codes", "codes.csv")
    assert done.returncode == 1, done.stderr
    files = sorted((tmp_path / "out/note_nlp").iterdir())
    table = ds.dataset(files, format="parquet").to_table()
    assert check_note_nlp(table) == []
    assert [
        tuple(row[name] for name in ("note_nlp_id", "note_id", "term_exists", "snippet"))
        for row in table.to_pylist()
    ] == [
        (1, 1, "N", "Denies fever."),
        (2, 3, "N", "Mother had chest pain."),
        (3, 5, "Y", "Took aspirin. Has fever."),
        (4, 5, "Y", "Took aspirin. Has fever."),
    ]
    assert table["note_nlp_concept_id"].to_pylist() == [437663, 0, 0, 437663]
    told = ds.dataset(tmp_path / "out/note_nlp_notes", format="parquet").to_table().to_pylist()
    assert [(note["note_id"], note["status"], note["error"]) for note in told] == STATUSES


def test_a_note_whose_id_note_cannot_have_fails_and_costs_no_other(annotate, tmp_path):
    rows = "1,Has fever.\nx7,Has fever.\n,Has fever.\n4,Has fever.\n"
    (tmp_path / "ids.csv").write_text(f"note_id,text\n{rows}", encoding="utf8")
    done = annotate("--format", "omop", source="ids.csv")
    assert done.returncode == 1, done.stderr
    table = ds.dataset(tmp_path / "out/note_nlp").to_table()
    assert table["note_id"].to_pylist() == [1, 4]
    notes = ds.dataset(tmp_path / "out/note_nlp_notes").to_table()
    assert [*zip(*(notes[name].to_pylist() for name in ("note_id", "error")), strict=True)] == [
        ("1", None),
        ("x7", "the id is no whole number of 64 bits, as NOTE has them"),
        ("(row 3)", "the id is empty"),
        ("4", None),
    ]


def test_the_command_writes_a_bundle_a_line(annotate, tmp_path):
    done = annotate("--format", "fhir", "--patient", "person")
    assert done.returncode == 1, done.stderr
    files = sorted((tmp_path / "out/bundles").iterdir())
    lines = [line for file in files for line in file.read_text(encoding="utf8").splitlines()]
    for line in lines:
        Bundle.model_validate_json(line)
    found = [
        [entry["resource"]["resourceType"] for entry in json.loads(line).get("entry", ())]
        for line in lines
    ]
    assert found == [
        ["Condition", "Provenance"],
        [],
        ["FamilyMemberHistory", "Provenance"],
        ["MedicationStatement", "Condition", "Provenance"],
    ]
    assert '"Patient/p3"' in lines[2]
    parts = sorted((tmp_path / "out/bundles_notes").iterdir())
    told = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert [(note["note_id"], note["status"], note["error"]) for note in told] == STATUSES


@pytest.mark.parametrize(
    ("options", "out", "says"),
    [
        (["--format", "omop", "--no-text"], ["out"], "must have the words of each term"),
        (["--format", "omop", "--possible", "maybe"], ["out"], "--possible 'maybe': must be Y or"),
        (["--format", "omop", "--patient", "person"], ["out"], "an option of --format fhir"),
        (["--possible", "N"], ["out"], "--possible is an option of --format omop"),
        (["--codes", "notes.csv"], ["out"], "--codes is an option of --format omop and fhir"),
        (["--format", "omop", "--codes", "none.csv"], ["out"], "none.csv: No such file"),
        (["--format", "omop", "--sections", "notes.csv"], ["out"], "no column section, concept_id"),
        (["--format", "fhir", "--files", "csv"], ["out"], "--format fhir is written as lines only"),
        (["--format", "fhir", "--patient", "who"], ["out"], "no column 'who'"),
        (["--format", "fhir", "--patient", "note_id"], ["out"], "--id and --patient both name"),
        (["--format", "omop", "--id", "person"], ["out"], "note id 'p1' is no whole number"),
        (["--query", "SELECT 1"], ["out"], "--query is for a database; notes.csv is a file"),
        ([], [], "Name where to write"),
        (["--to", "sqlite:///x.sqlite"], ["out"], "Name where to write"),
        (["--to", "x.sqlite"], [], "no URL of a database"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_run(annotate, options, out, says):
    done = annotate(*options, out=out)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert says in " ".join(done.stderr.split())


def test_what_files_hold_is_written_to_a_database_and_read_again(annotate, tmp_path):
    url = f"sqlite:///{tmp_path}/findings.sqlite"
    written = annotate("--format", "fhir", "--to", url, out=())
    assert written.returncode == 1, written.stderr
    bundles = annotate("--table", "bundles", "--text", "bundle", source=url)
    assert bundles.returncode == 0, bundles.stderr
    table = ds.dataset(tmp_path / "out/notes", format="parquet").to_table()
    assert table["note_id"].to_pylist() == ["1", "2", "3", "5"]
