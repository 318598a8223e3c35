"""What users write in files and settings, checked: a message names the key and what it must be."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spacy_clinner.errors import ClinnerError

M = TypeVar("M", bound=BaseModel)

# By the name that pydantic gives the fault.
WANTED = {
    "string_type": "a string",
    "list_type": "a list of strings",
    "bool_type": "true or false",
    "int_type": "a whole number, 0 or more",
    "greater_than_equal": "a whole number, 0 or more",
}
EMPTY = ("missing", "too_short", "string_too_short")


def checked(model: type[M], data: Any, where: str) -> M:
    """Check a table.

    model (type[BaseModel]): What it must be. Where a field has a description, it is what the
        message says of a wrong value.
    data (Any): Plain data.
    where (str): The file and table, for the message.
    RETURNS (BaseModel): The table.
    RAISES (ClinnerError): It is not what it must be.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        lacking = [str(fault["loc"][-1]) for fault in faults if fault["type"] in EMPTY]
        told = f"needs {', '.join(lacking)}" if lacking else _told(model, dict(faults[0]))
        raise ClinnerError(f"{where}: {told}.") from None


def _told(model: type[BaseModel], fault: dict[str, Any]) -> str:
    kind, loc = fault["type"], fault["loc"]
    path = [part for part in loc if isinstance(part, str) and part != "[key]"]
    if not path:
        return "not a table; write its keys under a line [name]"
    if kind == "extra_forbidden":
        known = f". Known: {', '.join(model.model_fields)}" if len(path) == 1 else ""
        return f"unknown key {'.'.join(path)!r}{known}"
    if kind == "literal_error":
        return f"{path[0]}: {fault['input']!r} is not one of {fault['ctx']['expected']}"
    if kind == "value_error":
        return f"{path[0]} {fault['ctx']['error']}"
    name = " of ".join(reversed(path[1:])) if len(path) > 2 else " of ".join(path)
    if (field := model.model_fields.get(path[0])) and field.description:
        return f"{path[0]} {field.description}"
    # A wrong item is a wrong list.
    wanted = WANTED["list_type"] if len(path) < len(loc) else WANTED.get(kind)
    return f"{name} must be {wanted or 'a table, [' + '.'.join(path) + ']'}"
