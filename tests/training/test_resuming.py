import json
import shutil

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import load_config
from spacy.vocab import Vocab
from tiny_trainings import cut_off, resumable_config, tiny_config

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.provenance import training_counts
from spacy_clinner.training.run import train


def test_a_training_that_was_cut_off_goes_on_from_its_last_checkpoint(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    best = tmp_path / "out.partial/model-best"
    weights = (best / "textcat/model").read_bytes()
    meta = json.loads((best / "meta.json").read_text())
    meta["performance"]["cats_score"] = 2.0
    (best / "meta.json").write_text(json.dumps(meta))
    train(config, output, overrides={}, gpu_id=-1, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts.spacy", "x.cfg"]
    last = load_config(output / "model-last/config.cfg")
    assert (last["variables"]["first_step"], last["training"]["max_steps"]) == (2, 2)
    assert training_counts(output / "model-last")["step"] == 4
    # No later checkpoint scores higher, so the best one is that of before.
    assert (output / "model-best/textcat/model").read_bytes() == weights


def test_what_cannot_be_resumed_is_refused(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    with pytest.raises(ClinnerError, match=r"out\.partial: no checkpoint"):
        train(config, output, overrides={}, gpu_id=-1, resume=True)
    cut_off(config, output, texts)
    other = tiny_config(tmp_path / "y.cfg", texts)
    with pytest.raises(ClinnerError, match="first_step"):
        train(other, output, overrides={}, gpu_id=-1, resume=True)
    with pytest.raises(ClinnerError, match="all 2 updates are done"):
        train(config, output, overrides={"training.max_steps": 2}, gpu_id=-1, resume=True)


def test_a_checkpoint_is_not_lost_to_a_training_that_begins_anew(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    for folder in ("out.partial", "out.earlier"):
        cut_off(config, output, texts)
        (tmp_path / "out.partial").rename(tmp_path / folder)
        with pytest.raises(ClinnerError, match=rf"{folder}: holds the checkpoint.*--resume"):
            train(config, output, overrides={}, gpu_id=-1)
        assert (tmp_path / folder / "model-last/meta.json").is_file()
        shutil.rmtree(tmp_path / folder)


def stopped(config, output, at, resume=False):
    """A training that is stopped by Ctrl-C in its so-manieth evaluation, from 0 on."""
    evaluations = iter(range(at + 1))
    evaluate = Language.evaluate

    def evaluate_or_stop(nlp, *args, **kwargs):
        if next(evaluations) == at:
            raise KeyboardInterrupt
        return evaluate(nlp, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Language, "evaluate", evaluate_or_stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, output, overrides={}, resume=resume)


def test_a_training_stopped_in_its_first_evaluation_begins_anew(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    stopped(config, output, 0)
    assert (tmp_path / "out.partial/model-last/meta.json").is_file()
    with pytest.raises(ClinnerError, match=r"no checkpoint there.*Train without --resume"):
        train(config, output, overrides={}, resume=True)
    train(config, output, overrides={})
    assert training_counts(output / "model-last")["step"] == 4


def test_a_resumed_training_stopped_in_its_first_evaluation_goes_on(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    stopped(config, output, 2)
    for _ in range(2):
        stopped(config, output, 0, resume=True)
        assert not (tmp_path / "out.partial/model-best").exists()
    train(config, output, overrides={}, resume=True)
    assert training_counts(output / "model-last")["step"] == 4
    assert (output / "model-best/meta.json").is_file()


@pytest.mark.parametrize("half", ["textcat/model", "meta.json"])
def test_the_best_model_takes_the_place_of_a_last_one_that_is_not_whole(tmp_path, texts, half):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    path = tmp_path / "out.partial/model-last" / half
    path.write_bytes(path.read_bytes()[:200])
    train(config, output, overrides={}, resume=True)
    assert training_counts(output / "model-last")["step"] == 4


def test_a_training_of_which_no_checkpoint_is_whole_says_what_to_delete(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    for path in tmp_path.glob("out.partial/*/textcat/model"):
        path.write_bytes(path.read_bytes()[:200])
    for resume in (True, False):
        with pytest.raises(ClinnerError, match=r"out\.partial: .*elete this folder"):
            train(config, output, overrides={}, resume=resume)
    shutil.rmtree(tmp_path / "out.partial")
    train(config, output, overrides={})


def test_a_training_that_has_done_all_its_updates_says_where_its_models_are(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    done = {"training.max_steps": 2}
    with pytest.raises(ClinnerError, match=r"out\.earlier/model-last: all 2 .* Take them.*delete"):
        train(config, output, overrides=done, resume=True)
    shutil.rmtree(tmp_path / "out.earlier")
    train(config, output, overrides=done)


def test_a_training_goes_on_with_the_notes_and_the_pipeline_it_was_begun_with(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    stopped(config, output, 2)
    doc = Doc(Vocab(), words=["No", "pain"])
    doc.cats = {"A": 1.0, "B": 0.0, "C": 0.0}
    DocBin(docs=[doc]).to_disk(tmp_path / "other.spacy")
    other = {"paths.train": str(tmp_path / "other.spacy")}
    with pytest.raises(ClinnerError, match=r"another train corpus\. .*delete this folder"):
        train(config, output, overrides=other, resume=True)
    with pytest.raises(ClinnerError, match="another pipeline"):
        train(config, output, overrides={"components.textcat.threshold": 0.5}, resume=True)
    # Copied elsewhere, the notes are still the same.
    shutil.copy(texts, tmp_path / "same.spacy")
    same = {"paths.train": str(tmp_path / "same.spacy")}
    train(config, output, overrides=same, resume=True)
    assert training_counts(output / "model-last")["step"] == 4
