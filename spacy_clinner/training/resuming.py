"""What is left of a training that was cut off, and which of it can be gone on with."""

import json
import logging
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import srsly
from spacy.training.corpus import walk_corpus
from spacy.util import load_config

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training.provenance import training_counts

# The file beside checkpoints that has the fingerprint.
RUN = "run.json"

log = logging.getLogger(__name__)


def fingerprint(settings: Mapping[str, Any]) -> dict[str, str]:
    """What must be the same for a training to go on.

    settings (Mapping[str, Any]): The config, interpolated.
    RETURNS (dict[str, str]): SHA-256 of the corpora's content, and of the sections [nlp] and
        [components].
    """
    found = {}
    for name in ("train", "dev"):
        paths = settings["paths"][name]
        digest = sha256()
        for path in paths if isinstance(paths, list) else [paths]:
            for file in walk_corpus(Path(path), ".spacy"):
                digest.update(sha256(Path(file).read_bytes()).digest())
        found[f"{name} corpus"] = digest.hexdigest()
    sections = [settings["nlp"], settings["components"]]
    written = json.dumps(sections, sort_keys=True, default=str)
    return found | {"pipeline": sha256(written.encode()).hexdigest()}


def begin(partial: Path, run: Mapping[str, str]) -> None:
    """Make the folder of the checkpoints.

    partial (Path): The folder; what it holds is deleted.
    run (Mapping[str, str]): The fingerprint.
    """
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with written_whole(partial / RUN) as path:
        srsly.write_json(path, dict(run))


def refuse_to_lose(*folders: Path) -> None:
    """Stop before a checkpoint is deleted.

    folders (Path): Folders that a new training deletes.
    RAISES (ClinnerError): One holds the checkpoint of a training that was cut off, later than in
        its first evaluation.
    """
    for folder in folders:
        if _was_evaluated(folder):
            raise ClinnerError(
                f"{folder}: holds the checkpoint of a training that was cut off. Go on with it by "
                f"--resume, or delete this folder to begin anew."
            )


def set_aside(partial: Path, earlier: Path, run: Mapping[str, str]) -> None:
    """Make room for the training that goes on from an earlier one.

    partial (Path): Folder of the training that was cut off; it is gone afterwards.
    earlier (Path): Folder that gets its checkpoints; may hold those of one before, of which the
        best stays when it is the best of all. Its `model-last` is what to go on from.
    run (Mapping[str, str]): The fingerprint of the training.
    RAISES (ClinnerError): There is no whole checkpoint, or it is one of another training.
    """
    _check_same(partial, run)
    _check_same(earlier, run)
    flaw = _mend(partial)
    if flaw is None:
        keep_best(earlier, partial)
        shutil.rmtree(earlier, ignore_errors=True)
        partial.rename(earlier)
    elif earlier.is_dir():
        flaw, partial = _mend(earlier), earlier
    if flaw is None:
        return
    if not _was_evaluated(partial):
        raise ClinnerError(f"{partial}: no checkpoint there to go on from. Train without --resume.")
    raise ClinnerError(
        f"{partial}: no checkpoint there can be gone on from ({flaw}). Delete this folder, and "
        f"train without --resume."
    )


def keep_best(earlier: Path, later: Path) -> None:
    """Take over the best model of an earlier run when it scored higher.

    earlier (Path), later (Path): Folders of the two runs; `later` gets the model. Either may have
        none: a run that was cut off in its first evaluation has not.
    """
    before, after = earlier / "model-best", later / "model-best"
    if _unreadable(before) is None and (
        _unreadable(after) is not None or final_score(before) > final_score(after)
    ):
        shutil.rmtree(after, ignore_errors=True)
        before.rename(after)


def final_score(model: Path) -> float:
    """The score by which spaCy chose a checkpoint.

    model (Path): The checkpoint.
    RETURNS (float): The weighted sum of its scores on dev.
    """
    weights = load_config(model / "config.cfg")["training"]["score_weights"]
    scores = srsly.read_json(model / "meta.json")["performance"]
    return float(
        sum((scores.get(name) or 0.0) * weight for name, weight in weights.items() if weight)
    )


def _was_evaluated(folder: Path) -> bool:
    """Whether a training got as far as to have something to lose."""
    if (folder / "model-best" / "meta.json").is_file():
        return True
    try:
        return bool(training_counts(folder / "model-last"))
    except ValueError:
        return False


def _check_same(folder: Path, run: Mapping[str, str]) -> None:
    before = srsly.read_json(folder / RUN) if (folder / RUN).is_file() else run
    if other := [name for name, value in run.items() if before.get(name) != value]:
        raise ClinnerError(
            f"{folder}: what was cut off there is a training with another {', '.join(other)}. Give "
            f"what it was begun with, or delete this folder to begin anew."
        )


def _mend(folder: Path) -> str | None:
    """Put the best model in place of a last one that cannot be gone on from.

    folder (Path): Folder of checkpoints.
    RETURNS (str | None): What is wrong where neither can; None where `model-last` can.
    """
    last, best = folder / "model-last", folder / "model-best"
    flaw = _flaw(last)
    if flaw is not None and _flaw(best) is None:
        log.info("%s cannot be gone on from (%s): model-best takes its place", last, flaw)
        shutil.rmtree(last, ignore_errors=True)
        shutil.copytree(best, last)
        return None
    return flaw


def _flaw(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be gone on from; None where it can."""
    if (flaw := _unreadable(checkpoint)) is not None:
        return flaw
    if "step" not in training_counts(checkpoint):
        return f"{checkpoint.name} does not say after how many updates it was written"
    return None


def _unreadable(checkpoint: Path) -> str | None:
    try:
        load_pipeline(checkpoint)
    # Whatever half a file makes its reader raise.
    except Exception as error:
        return one_line(error)
    return None
