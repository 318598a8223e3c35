"""Which notes are read and which entities are kept: conditions on their columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.schemas import ENTITIES

FORM = re.compile(r"\s*(?P<column>.+?)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>.*?)\s*$", re.S)
OF_NOTES = "notes."
# How a time ends that names its zone.
ZONE = re.compile(r":.*(Z|[+-][0-9:]+)$")
COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True)
class Condition:
    """A column compared with a value; what is null fits none.

    column (str), sign (str), value (str): As they were written, the column without `notes.`. A time
        that names no zone is UTC where those of the column have one.
    of_notes (bool): Whether it is a column of the notes that are read, or of `entities`.
    """

    column: str
    sign: str
    value: str
    of_notes: bool

    def check(self, schema: pa.Schema) -> None:
        """Check that the value can be compared with a column of these.

        RAISES (ClinnerError): It cannot.
        """
        self._value(schema.field(self.column).type)

    def fits(self, table: pa.Table | pa.RecordBatch) -> pa.Array:
        """RETURNS (pa.Array): By row of the table, whether it fits; never null."""
        column = table.column(self.column)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_null(column.type):
            return pa.array([False] * len(column), pa.bool_())
        value = self._value(column.type)
        if pa.types.is_float16(column.type):
            # Which Arrow does not compare.
            column, value = column.cast(pa.float32()), value.cast(pa.float32())
        return pc.fill_null(COMPARE[self.sign](column, value), False)

    def _value(self, kind: pa.DataType) -> pa.Scalar:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        try:
            if pa.types.is_null(kind):
                return pa.scalar(None)
            if pa.types.is_time(kind):
                # Arrow reads times with days only.
                return pa.scalar(f"1970-01-01 {self.value}").cast(pa.timestamp("ns")).cast(kind)
            if pa.types.is_timestamp(kind) and kind.tz and not ZONE.search(self.value):
                return pa.scalar(self.value).cast(pa.timestamp(kind.unit)).cast(kind)
            return pa.scalar(self.value).cast(kind)
        except pa.ArrowException:
            raise ClinnerError(
                f"--where {self.column}: the column is of type {kind}, and {self.value!r} is none."
            ) from None


def read_condition(written: str) -> Condition:
    """Read a condition.

    written (str): COLUMN, one of = != < <= > >=, and a value without quotes. The column is one of
        `entities`; with any other name, or `notes.` before it, one of the notes.
    RETURNS (Condition): The condition.
    RAISES (ClinnerError): It has another form.
    """
    found = FORM.match(written)
    if found is None:
        raise ClinnerError(
            f"--where {written!r}: not of the form COLUMN=VALUE (or != < <= > >=), "
            f"such as assertion=present or notes.year>=2020."
        )
    column = found["column"]
    of_notes = column.startswith(OF_NOTES) or column not in ENTITIES.names
    condition = Condition(
        column.removeprefix(OF_NOTES), found["sign"], found["value"], of_notes=of_notes
    )
    if not of_notes:
        condition.check(ENTITIES)
    return condition


def rows_that_fit(
    table: pa.Table | pa.RecordBatch, conditions: Sequence[Condition], fault: str | None = None
) -> pa.Table | pa.RecordBatch:
    """The rows that fit all conditions.

    table (pa.Table | pa.RecordBatch): Rows.
    conditions (Sequence[Condition]): Of its columns.
    fault (str | None): A column that, where there is one, tells of rows that cannot be read: these
        stay, as what stands in their columns may be another's.
    RETURNS (pa.Table | pa.RecordBatch): The same where there is no condition.
    """
    for condition in conditions:
        kept = condition.fits(table)
        if fault in table.schema.names:
            kept = pc.or_(kept, pc.is_valid(table.column(fault)))
        table = table.filter(kept)
    return table
