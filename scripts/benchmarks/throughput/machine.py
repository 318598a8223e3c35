"""Facts about the machine and the software, without which speeds say little."""

import os
import platform
from typing import Any

from spacy_clinner.training import provenance


def facts() -> dict[str, Any]:
    """CPU, its cores and the flags that matter here, memory, load average and versions."""
    versions = provenance.versions()
    return provenance.hardware() | {
        "memory": _memory(),
        # Of the last minute: above zero, other programs were running.
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "python": versions.pop("python"),
        "versions": versions,
    }


def _memory() -> int | None:
    """Bytes of memory, where it can be asked for."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
