import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
from spacy.training import Example
from spacy.util import load_config
from thinc.api import Config
from tiny_pipelines import LISTENER, STRIDED, WINDOWS, found_in, make_text, train
from typer.testing import CliRunner

from spacy_clinner.cli import app
from spacy_clinner.cpu.edition import optimize, too_much
from spacy_clinner.cpu.listeners import listening_config
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.intervals import Difference

FORBIDDEN = Path(__file__).parent / "forbidden"
KEPT = ("PATH", "LANG", "ONEDNN_MAX_CPU_ISA")
KINDS = {"note": 1.0, "letter": 0.0}
TEXTS = [make_text(seed, 40) for seed in range(200, 206)]


def run_alone(folder, code, *arguments):
    """Run Python code in a new process of a user who never ran anything before.

    Environment variables of the test run that switch telemetry off are not passed on.
    """
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    environment = {
        **kept,
        "HOME": str(folder),
        "PYTHONPATH": str(FORBIDDEN),
        "FORBIDDEN_LOG": str(folder / "forbidden.log"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# What is written


def test_the_transition_ner_of_spacy_finds_the_same_through_the_edition(
    tiny_encoder, corpus, tmp_path
):
    nlp = train(tiny_encoder, head="ner", steps=120)
    nlp.to_disk(tmp_path / "model")
    optimize(tmp_path / "model", tmp_path / "edition", precision="fp32", dev=corpus)
    edition = spacy.load(tmp_path / "edition")
    expected = [found_in(doc) for doc in nlp.pipe(TEXTS)]
    assert [found_in(doc) for doc in edition.pipe(TEXTS, batch_size=2)] == expected
    assert any(expected)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_smaller_editions_find_almost_the_same(precision, trained, corpus, tmp_path):
    pytest.importorskip("nncf")
    outcome = optimize(
        trained, tmp_path / "edition", precision=precision, dev=corpus, calibration=corpus,
        n_batches=8, tolerance=5,
    )  # fmt: skip
    edition, nlp = spacy.load(tmp_path / "edition"), spacy.load(trained)
    found = {(at, *x) for at, doc in enumerate(edition.pipe(TEXTS)) for x in found_in(doc)}
    expected = {(at, *x) for at, doc in enumerate(nlp.pipe(TEXTS)) for x in found_in(doc)}
    assert len(found & expected) > 0.9 * len(found | expected)
    assert edition.get_pipe("transformer").encoder.precision == precision
    assert str(outcome).startswith(f"{precision}, encoder 0.")
    # What stands beside a window moves its vectors by less than rounding to int8 does.
    edition.disable_pipe("clinner_drop_vectors")
    together = np.concatenate([doc.tensor for doc in edition.pipe(TEXTS)])
    alone = np.concatenate([edition(text).tensor for text in TEXTS])
    assert np.linalg.norm(together - alone) < 0.05 * np.linalg.norm(alone)


def test_the_edition_names_what_it_needs_and_nothing_of_torch(edition, trained):
    meta, before = (srsly.read_json(folder / "meta.json") for folder in (edition, trained))
    assert meta["name"] == f"{before['name']}_cpu"
    names = [requirement.split(">=")[0] for requirement in meta["requirements"]]
    assert names == ["spacy-clinner[cpu]", "openvino", "tokenizers"]
    config = (edition / "config.cfg").read_text()
    assert "spacy-transformers" not in config
    assert "clinner.Corpus" not in config
    assert str(trained.parent.parent) not in config


def test_a_component_that_is_added_to_an_edition_can_be_trained(edition):
    nlp = spacy.load(edition)
    added = nlp.add_pipe("textcat")
    examples = [Example.from_dict(nlp.make_doc(text), {"cats": KINDS}) for text in TEXTS]
    with nlp.select_pipes(enable="textcat"):
        added.initialize(lambda: examples, nlp=nlp, labels=[*KINDS])
        optimizer = nlp.resume_training()
        losses = [nlp.update(examples, sgd=optimizer)["textcat"] for _ in range(20)]
    assert losses[-1] < losses[0]
    assert max(nlp(TEXTS[0]).cats, key=nlp(TEXTS[0]).cats.get) == "note"


def test_an_edition_of_before_has_what_spacy_needs_to_change_it(edition, tmp_path):
    shutil.copytree(edition, tmp_path / "old")
    config = load_config(edition / "config.cfg")
    kept = {name: config[name] for name in ("nlp", "components")}
    Config(kept).to_disk(tmp_path / "old/config.cfg")
    nlp = spacy.load(tmp_path / "old")
    nlp.remove_pipe(nlp.pipe_names[-1])
    assert nlp.resume_training()


def test_the_encoder_of_an_edition_is_not_trained_and_that_is_said_as_spacy_says_it(edition):
    nlp = spacy.load(edition)
    doc = nlp(TEXTS[0])
    with pytest.raises(ValueError, match="annotating components"):
        nlp.update([Example(nlp.make_doc(doc.text), doc)])


def test_windows_of_spacy_transformers_are_replaced_with_a_warning(
    tiny_encoder, corpus, tmp_path, caplog
):
    train(tiny_encoder, get_spans=STRIDED, steps=2).to_disk(tmp_path / "model")
    optimize(tmp_path / "model", tmp_path / "edition", precision="fp32", force=True)
    assert "strided_spans" in caplog.text
    windows = spacy.load(tmp_path / "edition").config["components"]["transformer"]["get_spans"]
    assert windows["@misc"] == WINDOWS["@span_getters"]
    assert windows["max_pieces"] == 62


def test_windows_that_a_variable_sets_are_those_of_the_edition(tiny_encoder, corpus, tmp_path):
    folder = tmp_path / "model"
    train(tiny_encoder, steps=2).to_disk(folder)
    config = load_config(folder / "config.cfg")
    config["variables"] = {"window": 20}
    config["components"]["transformer"]["model"]["get_spans"]["window"] = "${variables.window}"
    config.to_disk(folder / "config.cfg")
    optimize(folder, tmp_path / "edition", precision="int8", calibration=corpus, force=True)
    edition = spacy.load(tmp_path / "edition")
    assert edition.config["components"]["transformer"]["get_spans"]["window"] == 20


# What is refused


def test_an_edition_that_lost_too_much_is_not_written(trained, corpus, tmp_path):
    out = tmp_path / "edition"
    with pytest.raises(ClinnerError, match=r"not written: fp32 loses 0\.00 points.*--force"):
        optimize(trained, out, precision="fp32", dev=corpus, tolerance=-1)
    assert list(tmp_path.iterdir()) == []
    optimize(trained, out, precision="fp32", dev=corpus, tolerance=-1, force=True)
    assert (out / "meta.json").is_file()


def test_the_next_safer_precision_is_taken_where_one_lost_too_much(trained, corpus, tmp_path):
    # No precision gains two points of F1.
    with pytest.raises(ClinnerError, match=r"bf16 loses.*; fp32 loses.*--force"):
        optimize(
            trained, tmp_path / "out", precision="bf16", dev=corpus, tolerance=-2, fallback=True
        )
    made = optimize(trained, tmp_path / "out", precision="bf16", dev=corpus, fallback=True)
    assert made.precision == "bf16"
    assert made.refused == ()


@pytest.mark.parametrize(
    ("lost", "tolerance", "refused"),
    [
        (Difference(0.83, -0.4, 2.0), 0.5, False),  # chance explains it
        (Difference(0.83, 0.3, 1.4), 0.5, True),
        (Difference(0.4, 0.3, 0.5), 0.5, False),  # real, and tolerated
        (Difference(-0.2, -0.9, 0.4), 0.5, False),
        (Difference(0.0, 0.0, 0.0), -1, True),
        (Difference(0.83, None, None), 0.5, True),  # of one note nothing better is known
    ],
)
def test_a_loss_counts_when_it_is_large_and_stands_beyond_chance(lost, tolerance, refused):
    assert too_much(lost, tolerance) is refused


def test_a_failure_leaves_the_edition_that_was_there(edition, trained, corpus, tmp_path):
    out = tmp_path / "edition"
    optimize(trained, out, precision="fp32", dev=corpus)
    before = sorted(path for path in out.rglob("*"))
    with pytest.raises(ClinnerError):
        optimize(trained, out, precision="bf16", dev=corpus, tolerance=-100)
    assert sorted(path for path in out.rglob("*")) == before
    assert spacy.load(out).get_pipe("transformer").encoder.precision == "fp32"
    optimize(trained, out, precision="bf16", force=True)
    assert spacy.load(out).get_pipe("transformer").encoder.precision == "bf16"
    assert [path.name for path in tmp_path.iterdir()] == ["edition"]


def test_what_cannot_be_done_is_said_before_anything_is_computed(trained, corpus, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.docx").touch()
    refused = [
        ({"precision": "int4"}, "int8, bf16 or fp32"),
        ({"dev": None}, "--dev"),
        ({"dev": tmp_path / "no.spacy"}, "no.spacy: missing"),
        ({"model": tmp_path / "no"}, "no trained pipeline"),
        ({"out": tmp_path / "thesis"}, "is there already and is not replaced"),
        ({"out": trained}, "choose another folder"),
        ({"calibration": None}, "--calibration"),
    ]
    for changed, message in refused:
        given = {"model": trained, "out": tmp_path / "out", "dev": corpus, "calibration": corpus}
        with pytest.raises(ClinnerError, match=message):
            optimize(**{**given, **changed})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_a_pipeline_without_a_transformer_has_no_cpu_edition(blank_nlp, corpus, tmp_path):
    blank_nlp.to_disk(tmp_path / "model")
    with pytest.raises(ClinnerError, match="has 0 transformer components"):
        optimize(tmp_path / "model", tmp_path / "out", precision="fp32", force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": {"@layers": "reduce_max.v1"}}, "reduce_max.v1"),
        ({"@architectures": "spacy-transformers.Tok2VecTransformer.v3"}, "Tok2VecTransformer"),
    ],
)
def test_a_head_that_needs_spacy_transformers_is_named(change, message):
    with pytest.raises(ClinnerError, match=rf"\[components.ner\].*{message}"):
        listening_config({"model": {"tok2vec": {**LISTENER, **change}}}, 32, "ner")


def test_the_command_says_what_it_wrote(trained, corpus, tmp_path):
    arguments = ["optimize", trained, tmp_path / "edition", "--precision", "fp32", "--dev", corpus]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0
    assert "strict F1" in result.output
    assert (tmp_path / "edition" / "config.cfg").is_file()


# What it needs to run

RUN = """
import sys
import spacy
nlp = spacy.load(sys.argv[1])
docs = list(nlp.pipe(sys.argv[2:], n_process=1)) + list(nlp.pipe(sys.argv[2:], n_process=2))
print(sum(len(doc.ents) for doc in docs))
"""

WITHOUT_TORCH = """
import importlib.metadata
import sys

ABSENT = ("torch", "transformers", "spacy-transformers", "spacy_transformers", "nncf")

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
# Nor does spaCy find their entry points.
installed = list(importlib.metadata.distributions())
kept = [one for one in installed if one.metadata["Name"].lower() not in ABSENT]
assert len(kept) < len(installed)
importlib.metadata.distributions = lambda **context: kept
"""


def test_the_edition_runs_where_torch_is_not_installed(edition, tmp_path):
    expected = 2 * sum(len(doc.ents) for doc in spacy.load(edition).pipe(TEXTS))
    assert int(run_alone(tmp_path, WITHOUT_TORCH + RUN, edition, *TEXTS)) == expected > 0


def test_nothing_calls_home_when_the_edition_is_loaded_and_run(edition, tmp_path):
    run_alone(tmp_path, RUN, edition, *TEXTS)
    assert not (tmp_path / "forbidden.log").exists()
    assert not (tmp_path / "intel").exists()


def test_nothing_calls_home_when_an_edition_is_made(trained, corpus, tmp_path):
    pytest.importorskip("nncf")
    code = "import sys; from spacy_clinner.cli import main; sys.argv[0] = 'clinner'; main()"
    run_alone(
        tmp_path, code, "optimize", trained, tmp_path / "out", "--dev", corpus, "--calibration",
        corpus, "--batches", 4, "--force",
    )  # fmt: skip
    assert (tmp_path / "out" / "config.cfg").is_file()
    assert not (tmp_path / "forbidden.log").exists()
    assert not (tmp_path / "intel").exists()


def test_the_refusal_of_connections_would_be_noticed(tmp_path):
    code = """
import sys, openvino_telemetry
telemetry = openvino_telemetry.Telemetry("t", "1", "G-0", "ga4", enable_opt_in_dialog=False)
telemetry.send_event("test", "test", "test")
telemetry.force_shutdown(5)
"""
    try:
        importlib.metadata.version("openvino-telemetry")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("openvino-telemetry is not installed")
    run_alone(tmp_path, code)
    assert "socket.getaddrinfo" in (tmp_path / "forbidden.log").read_text()
    assert (tmp_path / "intel").exists()
