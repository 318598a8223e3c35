import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pipelines import rules

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import annotate
from spacy_clinner.tables.dataframes import from_dataframe, to_dataframe
from spacy_clinner.tables.schemas import ENTITIES

TEXTS = ["Denies fever.", "Took aspirin."]


@pytest.fixture(scope="module")
def nlp():
    return rules()


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_entities_of_documents_become_a_frame(nlp, library, kind):
    frame = to_dataframe(nlp.pipe(TEXTS), library=library)
    assert isinstance(frame, kind)
    assert list(frame.columns) == ENTITIES.names
    assert list(frame["text"]) == ["fever", "aspirin"]
    assert list(frame["note_id"]) == ["0", "1"]


def test_the_table_has_the_schema_of_entities(nlp):
    table = to_dataframe(nlp.pipe(TEXTS), ids=["a", "b"], library="arrow", nlp=nlp)
    assert table.schema.equals(ENTITIES)
    assert table["note_id"].to_pylist() == ["a", "b"]
    assert set(table["model"].to_pylist()) == {"en_rules"}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_becomes_notes(nlp, kind):
    frame = kind({"key": [3, 4], "body": TEXTS, "ward": ["A", "B"]})
    notes = from_dataframe(frame, text="body", id="key")
    assert notes.schema.names == ["note_id", "text", "ward"]
    found = annotate(notes, nlp)
    assert found.entities["note_id"].to_pylist() == ["3", "4"]
    assert found.notes["ward"].to_pylist() == ["A", "B"]


def test_a_frame_without_ids_is_numbered():
    notes = from_dataframe(pl.DataFrame({"text": TEXTS}))
    assert notes.column("note_id").to_pylist() == [0, 1]
    assert from_dataframe(pa.table({"text": pa.array([], pa.string())})).num_rows == 0


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_with_the_names_of_notes_is_taken_as_it_is(kind):
    notes = from_dataframe(kind({"text": TEXTS, "note_id": ["a", "b"], "id": [1, 2]}))
    assert notes.column("note_id").to_pylist() == ["a", "b"]
    assert notes.column("id").to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({"id": [1], "note_id": [2], "text": ["x"]}, {"id": "id"}, "two columns note_id"),
        ({"body": ["x"], "text": ["y"]}, {"text": "body"}, "two columns text"),
        ({"text": ["x"]}, {"id": "text"}, "id and text both name 'text'"),
        ({"text": ["fever"], "ward": [b"x"]}, {"id": "key"}, "no column key"),
    ],
)
def test_columns_that_would_have_one_name_are_refused(columns, options, says):
    with pytest.raises(ClinnerError, match=says):
        from_dataframe(pd.DataFrame(columns), **options)


def test_a_column_of_several_types_is_named_and_no_word_of_it(nlp):
    for mixed in (["fever", 7], [7, "fever"], [7, "fever \ud83d"]):
        with pytest.raises(ClinnerError, match="The column 'text' has values of several") as told:
            from_dataframe(pd.DataFrame({"text": mixed}))
        assert "fever" not in str(told.value)
    notes = from_dataframe(pd.DataFrame({"text": ["fever \ud83d", None]}, dtype=object))
    assert notes.column("text").to_pylist() == ["fever \ufffd", None]


def test_types_of_pandas_stay():
    columns = {
        "text": TEXTS,
        "day": pd.to_datetime(["2026-01-01", None]).tz_localize("UTC"),
        "n": pd.array([1, None], "Int64"),
        "ward": pd.Categorical(["A", None]),
        "share": [0.5, None],
    }
    frame = pd.DataFrame(columns)
    expected = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    notes = pa.Table.from_batches([from_dataframe(frame)]).drop_columns("note_id")
    assert notes.equals(expected)


def test_what_is_no_frame_or_lacks_a_column_is_refused(nlp):
    with pytest.raises(ClinnerError, match="list is no data frame"):
        from_dataframe(["fever"])
    with pytest.raises(ClinnerError, match="no column body; it has text"):
        from_dataframe(pd.DataFrame({"text": TEXTS}), text="body")
    with pytest.raises(ClinnerError, match="unknown library 'dask'"):
        to_dataframe([], library="dask")
    with pytest.raises(ClinnerError, match="more documents than ids, of which 1"):
        to_dataframe(nlp.pipe(TEXTS), ids=["a"])
    with pytest.raises(ClinnerError, match="layers must be a list of names"):
        to_dataframe(nlp.pipe(TEXTS), layers="ents")
    with pytest.raises(ClinnerError, match="no layer 'clincal'"):
        to_dataframe(nlp.pipe(TEXTS), layers=["clincal"], nlp=nlp)
