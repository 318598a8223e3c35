"""Facts about the machine and the software, without which speeds say little."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "clinner", "spacy", "spacy-transformers", "thinc", "torch", "transformers", "tokenizers",
    "openvino", "nncf", "numpy",
)  # fmt: skip
FLAGS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip


def facts() -> dict[str, Any]:
    """CPU, its cores and the flags that matter here, memory, load average and versions."""
    cpu, flags = _cpu()
    return {
        "cpu": cpu,
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory": _memory(),
        # Of the last minute: above zero, other programs were running.
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def cores() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> tuple[str, set[str]]:
    """Name and flags; elsewhere than on Linux the name that Python knows, and no flags."""
    path = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf8").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip().lower(), value.strip())
    flags = set(fields.get("flags", fields.get("features", "")).split())
    return fields.get("model name") or platform.processor() or platform.machine(), flags


def _memory() -> int | None:
    """Bytes of memory, where it can be asked for."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
