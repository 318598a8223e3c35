from datetime import date, datetime, time

import numpy as np
import pyarrow as pa
import pytest

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.conditions import read_condition, rows_that_fit

UTC_TIME = pa.timestamp("us", "UTC")
NOTES = pa.table(
    {
        "year": [2019, 2020, None],
        "type": ["a=b", "discharge summary", None],
        "seen": [date(2020, 1, 1), date(2020, 2, 1), None],
        "done": [True, False, None],
        "ward": pa.array(["A", "B", None]).dictionary_encode(),
        "at": pa.array([datetime(2020, 1, 1, 12), datetime(2020, 2, 1), None], UTC_TIME),
        "half": pa.array([np.float16(0.1), np.float16(2.5), None], pa.float16()),
        "hour": pa.array([time(9), time(10, 30), None]),
        "minute": pa.array([time(9), time(10, 30), None], pa.time32("s")),
        "nothing": pa.nulls(3),
    }
)


@pytest.mark.parametrize(
    ("written", "rows"),
    [
        ("year>=2020", [1]),
        ("year < 2020", [0]),
        ("year != 2019", [1]),
        ("type=discharge summary", [1]),
        ("type=a=b", [0]),
        ("notes.type!=x", [0, 1]),
        ("seen>2020-01-15", [1]),
        ("done=true", [0]),
        ("ward=B", [1]),
        ("ward!=C", [0, 1]),
        ("at>=2020-01-15", [1]),
        ("at=2020-01-01 12:00", [0]),
        ("at=2020-01-01T12:00Z", [0]),
        ("at=2020-01-01T14:00+02:00", [0]),
        ("half>=2", [1]),
        ("half=0.1", [0]),
        ("hour>=10:30:00", [1]),
        ("hour<10:29:59.5", [0]),
        ("minute=10:30", [1]),
        ("nothing=1", []),
        ("nothing!=1", []),
    ],
)
def test_a_condition_is_a_comparison_with_a_value_of_the_columns_type(written, rows):
    table = NOTES.append_column("row", pa.array([0, 1, 2]))
    condition = read_condition(written)
    condition.check(NOTES.schema)
    assert condition.of_notes
    assert rows_that_fit(table, [condition])["row"].to_pylist() == rows


def test_a_column_of_entities_is_meant_unless_notes_stands_before_it():
    assert not read_condition("assertion=present").of_notes
    assert not read_condition("section!=plan").of_notes
    assert read_condition("notes.section=x").of_notes


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("year", "not of the form COLUMN=VALUE"),
        ("confidence>high", "confidence: the column is of type double, and 'high' is none"),
        ("year=soon", "year: the column is of type int64, and 'soon' is none"),
        ("hour=soon", r"hour: the column is of type time64\[us\], and 'soon' is none"),
    ],
)
def test_a_condition_that_cannot_be_is_an_error(written, says):
    with pytest.raises(ClinnerError, match=says):
        read_condition(written).check(NOTES.schema)
