"""The worker of the negation benchmark, run with clinner: the peers need the package index."""

import json
import subprocess
import sys


def test_the_worker_gives_a_verdict_per_span_and_a_time_per_line(root, tmp_path):
    text = "Denies chest pain. Has a cough."
    spans = [(7, 17, "PROBLEM"), (13, 17, "PROBLEM"), (25, 30, "PROBLEM")]
    row = json.dumps({"text": text, "spans": [[*span, "clinical"] for span in spans]})
    for name in ("toy.gold.jsonl", "speed.jsonl"):
        (tmp_path / name).write_text(f"{row}\n{row}\n", encoding="utf8")
    done = subprocess.run(
        [sys.executable, root / "scripts/benchmarks/peers/negation_worker.py", "clinner", tmp_path],
        input="\n\n",
        capture_output=True,
        text=True,
        check=True,
    )
    versions, *seconds = map(json.loads, done.stdout.splitlines())
    assert set(versions) == {"spacy-clinner", "spacy"}
    assert len(seconds) == 2
    assert all(second > 0 for second in seconds)
    verdicts = (tmp_path / "clinner.toy.jsonl").read_text(encoding="utf8").splitlines()
    assert [json.loads(row) for row in verdicts] == [[True, True, False]] * 2


def test_the_benchmark_says_how_to_get_a_missing_corpus(root, tmp_path):
    done = subprocess.run(
        [sys.executable, root / "scripts/benchmarks/negation.py", "--negex", tmp_path / "no.tsv"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Place the NegEx set there" in done.stderr
