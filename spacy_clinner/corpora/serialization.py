"""The records of `note.py` as plain JSON values, and back."""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from spacy_clinner.corpora.note import Note


def encode(value: Any) -> Any:
    """A record as JSON values; fields at their default are left out."""
    if is_dataclass(value):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: encode(item) for field, item in pairs if item != field.default}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode_note(value: Any) -> Note:
    """What `encode` made of a note, as a note.

    value (Any): JSON values.
    RETURNS (Note): The note.
    RAISES (TypeError): A field is missing, unknown or of the wrong type.
    """
    note: Note = _decode(Note, value, "note")
    return note


def decode_field(cls: type, name: str, value: Any) -> Any:
    """One field of a record; `TypeError` for an unknown field or a value of the wrong type."""
    if name not in _hints(cls):
        raise TypeError(f"unknown field {name!r}")
    return _decode(_hints(cls)[name], value, name)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _required(cls: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls) if field.default is MISSING)


def _decode(hint: Any, value: Any, name: str) -> Any:
    origin = get_origin(hint)
    if origin is UnionType:
        return None if value is None else _decode(get_args(hint)[0], value, name)
    if origin is tuple and isinstance(value, list):
        items = get_args(hint)
        if items[-1] is Ellipsis:
            return tuple(_decode(items[0], item, name) for item in value)
        if len(items) == len(value):
            return tuple(_decode(kind, item, name) for kind, item in zip(items, value, strict=True))
    elif is_dataclass(hint) and isinstance(value, dict):
        assert isinstance(hint, type)
        missing = _required(hint) - value.keys()
        if missing:
            raise TypeError(f"{name} lacks {min(missing)!r}")
        return hint(**{key: decode_field(hint, key, item) for key, item in value.items()})
    elif type(value) is hint:
        return value
    raise TypeError(f"{name!r} has a value of the wrong type")
