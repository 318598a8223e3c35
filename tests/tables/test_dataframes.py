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
