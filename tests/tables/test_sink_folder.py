import json
import re

import pytest
from finding_rows import entities, entity

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sinks.folder import LEDGER, Folder

RUN = {"source": "a", "settings": {"format": "tables"}}


@pytest.fixture
def begin(tmp_path):
    """Begin a run in a folder, or go on with it, when no other process writes there."""
    sinks = []

    def begin(run=RUN):
        for sink in sinks:
            sink.close()
        sinks.append(Folder(tmp_path / "out", "parquet"))
        return sinks[-1], sinks[-1].start(run)

    yield begin
    for sink in sinks:
        sink.close()


@pytest.fixture
def out(begin, tmp_path):
    """A folder with two pieces that are done; no row is in the notes of the first."""
    sink, _ = begin()
    for number in range(2):
        notes = entities(*[entity()] * number)
        sink.write({"piece": number}, {"entities": entities(entity()), "notes": notes})
    sink.write({"piece": 2, "finished": True}, {})
    return tmp_path / "out"


def test_a_run_that_did_no_piece_does_not_stand_in_the_way_of_another(begin, tmp_path):
    begin()
    # A process may be killed between a piece and its line in the ledger.
    left, mine = tmp_path / "out/entities/part-000000.parquet", tmp_path / "out/mine/part-1.csv"
    for path in (left, mine):
        path.parent.mkdir()
        path.write_bytes(b"PAR1")
    other = RUN | {"settings": {"format": "fhir"}}
    sink, found = begin(other)
    assert found == (other, [])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {LEDGER, "mine"}
    sink.write({"piece": 0}, {"bundles": entities()})
    _, (run, done) = begin()
    assert (run, len(done)) == (other, 1)


def test_a_run_goes_on_where_its_files_are_as_it_wrote_them(begin, out):
    _, (run, done) = begin()
    assert run == RUN
    assert [entry["piece"] for entry in done] == [0, 1, 2]


def test_files_that_are_gone_or_cut_off_are_named_and_nothing_goes_on(begin, out):
    (out / "entities/part-000001.parquet").unlink()
    (out / "notes/part-000000.parquet").write_bytes(b"")
    says = f"{out}: notes/part-000000.parquet, entities/part-000001.parquet are missing or not as"
    with pytest.raises(ClinnerError, match=re.escape(says)):
        begin()


def test_a_folder_of_a_run_that_took_down_no_sizes_goes_on(begin, out):
    lines = [json.loads(line) for line in (out / LEDGER).read_text().splitlines()]
    for entry in lines:
        entry.pop("bytes", None)
    (out / LEDGER).write_text("".join(f"{json.dumps(entry)}\n" for entry in lines))
    _, (_, done) = begin()
    assert len(done) == 3


@pytest.mark.parametrize("line", ["{}", '{"piece": 1}', "[]", "7", '"x"', "[[1, 2]]"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_ledger_that_is_none_is_told_and_left_alone(begin, tmp_path, line, at):
    lines = [json.dumps(RUN), json.dumps({"piece": 0})]
    lines[at] = line
    ledger, theirs = tmp_path / "out" / LEDGER, tmp_path / "out/x/part-000000.csv"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    ledger.write_text("\n".join(lines[: at + 1]) + "\n")
    with pytest.raises(ClinnerError, match="no ledger of this command"):
        begin()
    assert theirs.exists()
