"""The figures of the service are measured, with very small numbers."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("openvino")
pytest.importorskip("uvicorn")
SMALL = ("--notes", 4, "--repeats", 1, "--callers", 2, "--requests", 3, "--hostile", 16,
         "--minutes", 0.05)  # fmt: skip


@pytest.mark.long
def test_every_part_is_measured(installed, root, tmp_path):
    model = next(installed.glob("en_clinner_cpu/en_clinner_cpu-*"))
    options = ("--texts", root / "corpus/sample/dev", "--out", tmp_path / "found.json", *SMALL)
    done = subprocess.run(
        [sys.executable, "scripts/benchmarks/serving.py", str(model), *map(str, options)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf8"))
    assert found["ready"]["median_seconds"] > 0
    assert found["latency"]["p50_ms"] <= found["latency"]["p95_ms"]
    assert found["throughput"]["share_of_pipe"] > 0
    assert (found["hostile"]["failures"], found["hostile"]["serves_after"]) == (0, True)
    assert (found["soak"]["errors"], found["soak"]["warm_megabytes"] > 0) == (0, True)
