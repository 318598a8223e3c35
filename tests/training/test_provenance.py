from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import spacy
import srsly
from spacy.util import registry
from thinc.api import Linear, chain

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training import provenance


def info(step, words):
    return {
        "epoch": 1, "step": step, "words": words, "seconds": 20, "score": 0.5, "losses": {},
        "other_scores": {}, "checkpoints": [], "output_path": "",
    }  # fmt: skip


def test_the_recording_logger_leaves_its_last_counts_in_the_meta():
    nlp = spacy.blank("en")
    logger = registry.loggers.get("clinner.RecordingLogger.v1")(progress_bar=False)
    log, finish = logger(nlp, StringIO(), StringIO())
    for step, words in ((10, 1000), (20, 2000)):
        log(info(step, words))
        log(None)
    finish()
    counts = {"epoch": 1, "step": 20, "words": 2000, "seconds": 20}
    assert nlp.meta[provenance.COUNTS] == counts


def test_the_best_checkpoint_has_the_counts_of_its_own_evaluation(tmp_path):
    nlp = spacy.blank("en")
    log, _ = registry.loggers.get("clinner.RecordingLogger.v1")()(nlp, StringIO(), StringIO())
    scores = []
    for step, score in ((10, 0.5), (20, 0.4)):
        scores.append((score, step))
        names = ["model-last", "model-best"] if score == max(scores)[0] else ["model-last"]
        for name in names:
            nlp.to_disk(tmp_path / name)
        saved = {"score": score, "checkpoints": scores, "output_path": str(tmp_path / "model-last")}
        log(info(step, 100 * step) | saved)
    steps = [provenance.training_counts(tmp_path / n)["step"] for n in ("model-best", "model-last")]
    assert steps == [10, 20]


def test_the_facts_of_a_training_hold_what_model_last_counted(tmp_path):
    nlp = spacy.blank("en")
    nlp.config["variables"] = {"encoder": "some/folder", "learn_rate": 0.1}
    nlp.to_disk(tmp_path / "model-best")
    nlp.meta[provenance.COUNTS] = {"step": 20, "words": 2000, "seconds": 20}
    nlp.to_disk(tmp_path / "model-last")
    began = datetime.now(UTC) - timedelta(hours=1)
    facts = provenance.training_facts(tmp_path / "model-best", began)
    srsly.json_dumps(facts)
    assert facts["seconds"] == pytest.approx(3600, abs=60)
    assert (facts["steps"], facts["words"], facts["words_per_second"]) == (20, 2000, 100.0)
    assert facts["versions"]["spacy"] == spacy.__version__
    assert facts["settings"]["learn_rate"] == 0.1
    assert "encoder" not in facts["settings"]
    assert facts["hardware"]["cpu"]


def test_a_training_that_was_resumed_took_the_time_of_all_its_runs(tmp_path):
    nlp = spacy.blank("en")
    nlp.meta[provenance.COUNTS] = {"step": 20, "words": 2000, "seconds": 5000}
    for name in ("model-best", "model-last"):
        nlp.to_disk(tmp_path / name)
    facts = provenance.training_facts(tmp_path / "model-best", datetime.now(UTC))
    assert facts["seconds"] == 5000


def test_the_facts_of_a_training_without_counts_say_so(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model-best")
    facts = provenance.training_facts(tmp_path / "model-best", datetime.now(UTC))
    assert facts["words"] is None
    assert facts["words_per_second"] is None


def test_no_model_is_refused(tmp_path):
    with pytest.raises(ClinnerError, match="no trained pipeline"):
        provenance.training_facts(tmp_path, datetime.now(UTC))


def test_parameters_of_thinc_layers_and_of_torch_modules_are_counted():
    torch = pytest.importorskip("torch")
    from thinc.api import PyTorchWrapper

    inner = torch.nn.Linear(5, 3)
    model = chain(PyTorchWrapper(inner), Linear(nO=2, nI=3))
    model.initialize()
    assert provenance.count_parameters(model) == 5 * 3 + 3 + 3 * 2 + 2
