"""Everything but the calls of CUDA: a rehearsal on the CPU."""

import json
import subprocess
import sys

import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import DocBin, Span
from spacy.training import Example
from tiny_encoders import biomedbert

from spacy_clinner.errors import ClinnerError

WORDS = ("Denies chest pain.", "Has a cough.", "No fever.")


@pytest.fixture
def script(scripts):
    import check_gpu

    return check_gpu


@pytest.fixture
def corpus(tmp_path, nlp):
    docs = [nlp.make_doc(text) for text in WORDS]
    for doc in docs:
        doc.spans["clinical"] = [Span(doc, len(doc) - 2, len(doc) - 1, label="PROBLEM")]
    for name in ("train", "dev", "test"):
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{name}.spacy")
    return tmp_path


def row(right, **more):
    counts = [[right, 10, 10]] * 4
    return {"f": right / 10, "interval": [0.1, 0.9], "counts": counts,
            "pipe_words_per_second": 1234.5, "gpu_megabytes": None, **more}  # fmt: skip


def test_the_table_compares_each_pair_that_was_run(script, capsys):
    found = {
        "devices": script.devices(-1),
        "rows": {
            script.TRAINED[0]: row(8, words_per_second=5000.0, gpu_megabytes=2048.0),
            script.MOVED[1]: row(7),
        },
    }
    script.show(found)
    told = capsys.readouterr().out
    assert "No GPU, a rehearsal" in told
    assert "5,000" in told
    assert "80.0 (10.0 to 90.0)" in told
    assert "2,048" in told
    assert "trained on the GPU, against the same, on the CPU: +10.00 points of F1" in told
    assert "the given model" not in told


def test_a_machine_without_a_gpu_is_told_what_to_install(script):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ClinnerError, match="Install"):
        script.devices(0)
    with pytest.raises(ClinnerError, match="finds no GPU"):
        script.score("en_clinner", "test.spacy", 0)


def test_a_pipeline_is_scored_and_timed(script, corpus, nlp, tmp_path, capsys):
    nlp.add_pipe("clinner_ner", config={"layers": ["clinical"]})
    doc = nlp.make_doc(WORDS[0])
    doc.spans["clinical"] = [Span(doc, 1, 3, label="PROBLEM")]
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    nlp.to_disk(tmp_path / "model")
    script.score(str(tmp_path / "model"), corpus / "test.spacy", -1)
    found = json.loads(capsys.readouterr().out)
    assert np.array(found["counts"]).shape == (3, 3)
    assert found["pipe_words_per_second"] > 0
    assert found["gpu_megabytes"] is None


@pytest.mark.long
def test_a_rehearsal_goes_to_its_end_on_the_cpu(script, corpus, root, tmp_path):
    encoder = biomedbert(tmp_path / "encoder")
    command = [sys.executable, "scripts/check_gpu.py", "check", corpus, "--encoder", encoder]
    command += ["--out", tmp_path / "out", "--updates", "4", "--cpu-updates", "4", "--gpu-id", "-1"]
    command += ["--model", tmp_path / "out/cpu/model-best"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = srsly.read_json(tmp_path / "out/gpu.json")["rows"]
    assert list(rows) == [*script.TRAINED, script.MOVED[1], *script.GIVEN]
    assert rows[script.TRAINED[0]]["steps"] == 4
    assert done.stdout.count("points of F1") == 3
    assert spacy.load(tmp_path / "out/gpu/model-best").pipe_names
