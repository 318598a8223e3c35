from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import srsly
from spacy import util


class StoredSettings:
    """Saving and loading for components whose whole state is settings of plain JSON values.

    A component gives `_settings()`, the values by name, and `_set(settings)`, which takes them.
    """

    def _settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def _set(self, settings: dict[str, Any]) -> None:
        raise NotImplementedError

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """RETURNS (bytes): The settings, what a user added to them included."""
        return util.to_bytes({"settings": lambda: srsly.json_dumps(self._settings())}, exclude)

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load settings from `to_bytes`.

        data (bytes): The settings.
        RETURNS (Self): This component.
        """
        util.from_bytes(data, {"settings": lambda b: self._set(srsly.json_loads(b))}, exclude)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the settings.

        path (str | Path): A folder; it is made.
        """
        writers = {"settings.json": lambda file: srsly.write_json(file, self._settings())}
        util.to_disk(path, writers, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Load settings from `to_disk`.

        path (str | Path): The folder.
        RETURNS (Self): This component.
        """
        readers = {"settings.json": lambda file: self._set(srsly.read_json(file))}
        util.from_disk(path, readers, exclude)
        return self
