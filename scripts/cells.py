"""Measurements of which each is a cell of its own on disk, so that a run that is cut off, or out of
its time, goes on where it was; with the settings that all of them have in common."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

SETTINGS = "settings.json"


def keep_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of cells, or compare them with those that are kept.

    out (Path): The folder.
    settings (Mapping[str, Any]): Plain data. What is not kept yet is added.
    RAISES (ClinnerError): What is kept differs.
    """
    path = out / SETTINGS
    kept: dict[str, Any] = read(path) if path.is_file() else {}
    if other := [name for name, value in settings.items() if kept.get(name, value) != value]:
        raise ClinnerError(
            f"{path}: of other settings: {', '.join(other)}. Give another folder, or delete it."
        )
    with written_whole(path) as partial:
        partial.write_text(json.dumps(kept | dict(settings), indent=1), encoding="utf8")


def fill(out: Path, cells: Mapping[str, Callable[[], Mapping[str, Any]]], minutes: float) -> int:
    """Measure what is not measured yet.

    out (Path): The folder; cells are in `out/cells`.
    cells (Mapping[str, Callable]): By file name, what measures it and returns plain data.
    minutes (float): Begin no further one after so long.
    RETURNS (int): How many are left.
    """
    end, left = time.monotonic() + 60 * minutes, 0
    for name, measure in cells.items():
        path = out / "cells" / name
        if path.is_file():
            continue
        if time.monotonic() > end:
            left += 1
            continue
        found = measure()
        with written_whole(path) as partial:
            partial.write_text(json.dumps(found), encoding="utf8")
    return left


def read(path: Path) -> dict[str, Any]:
    """A file of this module, whose numbers are as they were written."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
    return found
