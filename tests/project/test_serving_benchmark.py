"""The figures of the service are measured, with very small numbers."""

import json
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("openvino")
pytest.importorskip("uvicorn")
SMALL = ("--notes", 4, "--repeats", 1, "--callers", 2, "--requests", 3, "--hostile", 16,
         "--minutes", 0.05)  # fmt: skip


@pytest.fixture
def measured(installed, root, tmp_path):
    """Measures some parts: gives the report."""
    model = next(installed.glob("en_clinner_cpu/en_clinner_cpu-*"))

    def measure(parts, *options):
        out = tmp_path / "found.json"
        options = ("--parts", parts, "--texts", root / "corpus/sample/dev", "--out", out, *options)
        done = subprocess.run(
            [sys.executable, "scripts/benchmarks/serving.py", str(model), *map(str, options)],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text(encoding="utf8"))

    return measure


@pytest.mark.long
def test_every_part_is_measured(measured):
    found = measured("ready,latency,throughput,hostile,soak", *SMALL)
    assert found["ready"]["median_seconds"] > 0
    assert found["latency"]["p50_ms"] <= found["latency"]["p95_ms"]
    assert found["throughput"]["share_of_pipe"] > 0
    assert (found["hostile"]["failures"], found["hostile"]["serves_after"]) == (0, True)
    assert (found["soak"]["errors"], found["soak"]["warm_megabytes"] > 0) == (0, True)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium")
def test_the_page_is_measured_until_the_first_mark_and_while_it_is_scrolled(measured):
    pytest.importorskip("playwright", reason="playwright is missing: pip install .[test]")
    found = measured("page", "--characters", 30_000, "--repeats", 1)["page"]
    assert found["characters"] == 30_000
    assert found["marks"] > 300
    assert 0 < found["first_mark_ms"] <= found["all_marks_ms"]
    assert found["frames"] > 20
    assert 0 < found["frame_median_ms"] <= found["frame_longest_ms"]
    assert found["scrolling_longest_task_ms"] >= 0
