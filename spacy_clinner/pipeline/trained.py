"""What components with weights write: disk holds what was learned, bytes hold the settings too."""

from collections.abc import Iterable
from typing import Any, Self

from spacy.pipeline import TrainablePipe

from spacy_clinner.pipeline.settings import Configured


class TrainedComponent(TrainablePipe, Configured):  # type: ignore[misc]
    """A component that learns, and whose settings are in `nlp.config`.

    cfg (dict[str, Any]): What is learned besides the weights, plain JSON values.
    """

    cfg: dict[str, Any]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """RETURNS (bytes): What was learned, and the settings for a pipeline of another config."""
        learned = self.cfg
        self.cfg = {**learned, "settings": self.settings}
        try:
            data: bytes = super().to_bytes(exclude=exclude)
        finally:
            self.cfg = learned
        return data

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Load what was learned, and the settings, from `to_bytes`."""
        super().from_bytes(bytes_data, exclude=exclude)
        self.take(self.cfg.pop("settings", {}))
        return self
