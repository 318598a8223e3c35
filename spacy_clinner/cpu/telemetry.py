import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

PACKAGE = "openvino_telemetry"
HUB_OFFLINE = "HF_HUB_OFFLINE"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep OpenVINO and NNCF from sending usage data.

    Both send an event as soon as they are imported, unless a file in the user's home folder says
    no, and both do without where the package that sends is not installed. So for the time of the
    block it is not: import them only inside one. What a program imported before stays as it is.
    """
    absent = object()
    before: ModuleType | object | None = sys.modules.get(PACKAGE, absent)
    sys.modules[PACKAGE] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is absent:
            del sys.modules[PACKAGE]
        else:
            sys.modules[PACKAGE] = before  # type: ignore[assignment]


@contextmanager
def without_hub() -> Iterator[None]:
    """Keep the Hugging Face libraries from the network, and the caller's environment as it was."""
    before = os.environ.get(HUB_OFFLINE)
    os.environ.setdefault(HUB_OFFLINE, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[HUB_OFFLINE]
