"""Values of tables as JSON, the same wherever they are written."""

import json
import math
from typing import Any


def as_json(value: Any) -> str:
    """A value as JSON.

    value (Any): As Arrow or a database gives it.
    RETURNS (str): One line. What JSON has no form for is a string, and null what is no number.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=as_string)
    except (ValueError, TypeError):
        # A number that JSON does not have, or a key that is no string: seldom, and slow to find.
        return json.dumps(_plain(value), ensure_ascii=False, default=as_string)


def as_string(value: Any) -> str:
    """A value that is none of JSON's as a string; bytes are UTF-8.

    value (Any): A time, number, bytes or the like.
    RETURNS (str): The string.
    """
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else as_string(key): _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
