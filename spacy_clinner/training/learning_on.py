"""`clinner train --from MODEL`: go on from a trained pipeline with a few notes."""

import io
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.vocab import Vocab

from spacy_clinner.corpora.docbin import SCHEMES, read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import folder_written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.progress import Progress, quiet
from spacy_clinner.schemes import write_schemes
from spacy_clinner.schemes.scheme import read_schemes
from spacy_clinner.training.averaging import average
from spacy_clinner.training.calibration import (
    USUAL_TEMPERATURE,
    LayerSpans,
    fit_temperature,
    predicted_spans,
)
from spacy_clinner.training.callbacks import spread
from spacy_clinner.training.distillation import distil, keep_to_known, rehearsal
from spacy_clinner.training.holding_out import Split, fold, hold_out
from spacy_clinner.training.new_labels import fit_new_labels, new_labels, recognisers
from spacy_clinner.training.new_pairs import learn_pairs, linkers, new_pairs
from spacy_clinner.training.preparation import (
    check_corpora,
    load_settings,
    load_trainable,
    use_gpu,
    validate,
    with_pipeline_of,
)
from spacy_clinner.training.provenance import training_facts
from spacy_clinner.training.run import check_output, length_overrides, run

# The callbacks of learn_on.cfg, whose settings are set here.
CALLBACKS = ("training.before_to_disk", "initialize.before_init")
# Where no dev notes choose among models, they are scored as rarely as can be.
LAST_ONLY = {"initialize.before_init.evaluations": 1}
# Models are calibrated once, when they are done.
NOT_YET_CALIBRATED = {"training.before_to_disk.limit": 0}
CALIBRATE_ON = 100
# What spaCy says at the end of each training.
SAVED = "Saved pipeline to output directory"
CONFIG = Path(__file__).with_name("learn_on.cfg")
# From so many notes on, a fifth of them is held out; of fewer, each is needed to learn from.
ENOUGH_TO_HOLD_OUT = 40
HELD_OUT = 5
FOLDS = 2


def learn_on(
    model: str,
    output: Path,
    *,
    overrides: Mapping[str, Any],
    gpu_id: int = -1,
    epochs: int | None = None,
    rehearse: Sequence[Path] = (),
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Go on from a trained pipeline: the same layers, labels that are new to it, or new layers.

    Few updates at a small rate, by `learn_on.cfg` beside this module. What the notes do not
    annotate, the model of before annotates in them, so that it is not forgotten. Confidences are
    calibrated on `paths.dev`; without one, or where it holds no note, on a fifth of the notes,
    which is held out, or for fewer than 40 notes by cross-validation.

    model (str): The pipeline, a folder or an installed one.
    output (Path): Folder that gets `model-best` and `model-last`.
    overrides (Mapping[str, Any]): Values of the config by dotted key; `paths.train` must be there.
    gpu_id (int): The GPU, or -1 for the CPU.
    epochs (int | None): Passes over the notes.
    rehearse (Sequence[Path]): Further .spacy files, or folders of them, of old documents to learn
        again some of.
    progress (Progress): Shows how far it is.
    RETURNS (dict[str, Any]): As `training_facts`, with "learning_on": what was held out, which
        layers the model of before annotated and how many documents it rehearsed.
    RAISES (ClinnerError): As `train`; or the model cannot be trained, or has no `clinner_ner`.
    """
    started = datetime.now(UTC)
    given = load_settings(CONFIG, overrides)
    check_callbacks(given)
    share, paths = learned_share(given), given["paths"]
    check_output(output, model)
    # Without a dev corpus the notes are their own.
    dev = paths["dev"] if paths["dev"] and not _is_empty(paths["dev"]) else None
    check_corpora({"paths": {"train": paths["train"], "dev": dev or paths["train"]}})
    use_gpu(gpu_id)
    old = _load_recogniser(model)
    overrides = length_overrides(given, epochs) | dict(overrides)
    # spaCy's own reader of dev takes one path: what is read there is written anew.
    own = load_settings(CONFIG, {**overrides, "paths.dev": None})
    validate(CONFIG, with_pipeline_of(own, model, old))
    notes = _read(paths["train"], old)
    known = [doc for file in _files(rehearse) for doc in read_docs(file, old.vocab)]
    again, learned = rehearsal(known, sum(map(len, notes))), [_copied(doc) for doc in notes]
    keep_to_known(again, notes, _known_labels(old))
    facts: dict[str, Any] = {"notes": len(notes), "rehearsed": len(again)}
    facts["distilled"] = sorted({*distil(old, learned, progress), *distil(old, again, progress)})
    with tempfile.TemporaryDirectory() as scratch:
        trainings = _Trainings(model, old, share, Path(scratch), overrides, gpu_id, again)
        trainings.keep_schemes([*_files(rehearse), *_files(paths["train"])])
        if dev is not None:
            trainings.choose_by(Split(learned, _read(dev, old)))
        else:
            facts |= trainings.choose_without_dev(learned, notes)
        if unlinked := new_pairs(linkers(old), notes, trainings.frozen)[1]:
            facts["not_linked"] = unlinked
        trainings.save(output, paths)
    return training_facts(output / "model-best", started, gpu_id=gpu_id) | {"learning_on": facts}


def check_callbacks(settings: Mapping[str, Any]) -> None:
    """Stop where a callback is missing of which learning on makes use.

    settings (Mapping[str, Any]): The config.
    RAISES (ClinnerError): There is none.
    """
    for key in CALLBACKS:
        section, name = key.split(".")
        if not settings[section][name]:
            raise ClinnerError(
                f"--{key}: what goes on from a model needs what {CONFIG.name} has there. Leave it "
                f"as it is, or train with a CONFIG of your own."
            )


def learned_share(settings: Mapping[str, Any]) -> float:
    """What of the weights is to be learned, the rest being those of before.

    settings (Mapping[str, Any]): The config.
    RETURNS (float): Above 0, to 1.
    RAISES (ClinnerError): It is no such number.
    """
    share = settings["variables"]["learned_share"]
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise ClinnerError(f"--variables.learned_share {share}: needs a number above 0, up to 1.")
    return float(share)


@dataclass(frozen=True)
class HeldOut:
    """What a model found in notes of which it learned nothing.

    spans (dict[str, LayerSpans]): By layer that has some.
    scores (dict[str, Any]): spaCy's scores.
    """

    spans: dict[str, LayerSpans]
    scores: dict[str, Any]


class _WithoutFolders(io.StringIO):
    """The standard output, but for where models lie that are gone when all is done."""

    def write(self, text: str) -> int:
        return len(text) if SAVED in text else sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


class _Trainings:
    """One or several trainings that go on from the same model."""

    def __init__(
        self,
        model: str,
        old: Language,
        share: float,
        scratch: Path,
        overrides: Mapping[str, Any],
        gpu_id: int,
        again: Sequence[Doc],
    ) -> None:
        self.model, self.old, self.share, self.scratch = model, old, share, scratch
        self.overrides = {**overrides, **NOT_YET_CALIBRATED}
        self.gpu_id, self.again = gpu_id, again
        self.begun = old
        self.frozen = load_settings(CONFIG, overrides)["training"]["frozen_components"]
        self.models: dict[str, Language] = {}

    def keep_schemes(self, corpora: Sequence[Path]) -> None:
        """Write the schemes beside corpora to where the trainings look for them; the last count."""
        files = [path.parent / SCHEMES for path in corpora]
        found = [scheme for file in files if file.is_file() for scheme in read_schemes(file)]
        if found:
            own = {scheme.layer: scheme for scheme in found}
            write_schemes(self.scratch / SCHEMES, own.values())

    def choose_without_dev(self, learned: Sequence[Doc], notes: Sequence[Doc]) -> dict[str, int]:
        """Train, and calibrate on a part of the notes or by cross-validation; and say which."""
        if len(notes) >= ENOUGH_TO_HOLD_OUT:
            split = hold_out(learned, notes, HELD_OUT)
            self.choose_by(split)
            return {"held_out": len(split.held_out)}
        # A single note cannot be held out.
        folds = FOLDS if len(notes) >= FOLDS else 0
        self.cross_validate(learned, notes, folds)
        return {"held_out": len(notes) if folds else 0, "folds": folds}

    def choose_by(self, split: Split) -> None:
        """Train on notes, choose the best model by others, and calibrate it on these."""
        for folder in self._trained(split, self.again):
            nlp = self._averaged(folder)
            calibrate(nlp, [self._find(nlp, split.held_out)], self.old)
            self.models[folder.name] = nlp

    def cross_validate(self, learned: Sequence[Doc], notes: Sequence[Doc], folds: int) -> None:
        """Train on all notes, and calibrate by models that each lacked a part of them."""
        self.overrides |= LAST_ONLY
        found = []
        for part in range(folds):
            split = fold(learned, notes, folds, part)
            # Of the old documents a part, too, so that they weigh what they weigh in the whole.
            *_, last = self._trained(split, self.again[part::folds])
            found.append(self._find(self._averaged(last), split.held_out))
        # Scores on what it learned from would say nothing: one note is enough.
        *_, last = self._trained(Split(learned, notes[:1]), self.again)
        nlp = self._averaged(last)
        calibrate(nlp, found, self.old)
        # All updates count, as nothing was held out by which an earlier model could be better.
        self.models = dict.fromkeys(("model-best", "model-last"), nlp)

    def save(self, output: Path, paths: Mapping[str, Any]) -> None:
        """Write the models, whose configs name the user's own paths, not those of scratch files."""
        output.mkdir(parents=True, exist_ok=True)
        for name, nlp in self.models.items():
            nlp.config["paths"].update(paths)
            with folder_written_whole(output / name) as folder:
                without_texts(nlp).to_disk(folder)

    def _trained(self, split: Split, again: Sequence[Doc]) -> list[Path]:
        """Train on notes, and on old documents among them; the folders of best and last model."""
        output = self.scratch / "out"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        paths = [self._written("train", split.train)]
        if again:
            paths.append(self._written("again", again))
        split_paths = {"paths.train": paths, "paths.dev": self._written("dev", split.held_out)}
        overrides = self.overrides | split_paths
        start = self._begin(split.train)
        begun: dict[str, Any] = {"start": start, "loaded": self.begun}
        run(CONFIG, output, overrides, self.gpu_id, **begun, told=_WithoutFolders())
        return [output / "model-best", output / "model-last"]

    def _begin(self, docs: Sequence[Doc]) -> str:
        """The model of before with what is new to it, so far as it can know that yet."""
        self.begun = self.old
        new = new_labels(recognisers(self.old), docs, self.frozen)
        pairs, _ = new_pairs(linkers(self.old), docs, self.frozen)
        if not new and not pairs:
            return self.model
        self.begun = load_pipeline(self.model)
        schemes = self.scratch / SCHEMES
        files = [str(schemes)] if schemes.is_file() else []
        components = recognisers(self.begun)
        for name, labels in new.items():
            components[name].learn_also(labels, files)
            fit_new_labels(self.begun, name, docs, labels)
        for name, found in pairs.items():
            learn_pairs(linkers(self.begun)[name], found)
        for component in components.values():
            component.take_schemes(files)
        start = self.scratch / "begun"
        shutil.rmtree(start, ignore_errors=True)
        without_texts(self.begun).to_disk(start)
        return str(start)

    def _averaged(self, folder: Path) -> Language:
        nlp = load_pipeline(folder)
        if self.share < 1:
            average(nlp, self.begun, self.share)
        return nlp

    def _find(self, nlp: Language, docs: Sequence[Doc]) -> HeldOut:
        examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
        scores = nlp.meta["performance"]
        if self.share < 1:
            # Those there are of the model as it was before its weights were averaged.
            rescored = nlp.evaluate(examples)
            scores = scores | {key: rescored[key] for key in scores if key in rescored}
        chosen = spread(examples, CALIBRATE_ON)
        spans = [predicted_spans(nlp, chosen, name).items() for name in recognisers(nlp)]
        found = {layer: found for part in spans for layer, found in part if len(found.spans)}
        return HeldOut(found, scores)

    def _written(self, name: str, docs: Sequence[Doc]) -> str:
        path = self.scratch / f"{name}.spacy"
        DocBin(docs=docs, store_user_data=True).to_disk(path)
        return str(path)


def calibrate(nlp: Language, found: Sequence[HeldOut], old: Language) -> None:
    """Give a model temperatures and scores by what it, or others in its place, found in notes of
    which they learned nothing.

    nlp (Language): The model, which is changed.
    found (Sequence[HeldOut]): What one or several models found.
    old (Language): The model of before, whose layers that nobody annotated stay as they were.
    """
    components: Mapping[str, Any] = recognisers(nlp)
    for name, component in components.items():
        known: Any = old.get_pipe(name)
        for layer in component.layer_labels:
            spans = [part.spans[layer] for part in found if layer in part.spans]
            usual = known.temperatures.get(layer, USUAL_TEMPERATURE)
            if spans:
                usual = fit_temperature(spans, usual)
            elif layer in known.layer_labels:
                usual = known.temperatures.get(layer, 1.0)
            component.temperatures[layer] = usual
    scores = [part.scores for part in found]
    nlp.meta["performance"] = scores[0] if len(scores) == 1 else mean_scores(scores)


def mean_scores(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over folds of the scores of all layers together.

    scores (Sequence[Mapping[str, Any]]): spaCy's scores of each fold.
    RETURNS (dict[str, Any]): Precision, recall and F1, 0 to 1.
    """
    means = {}
    for key in ("layers_p", "layers_r", "layers_f"):
        values = [found[key] for found in scores if found.get(key) is not None]
        if values:
            means[key] = sum(values) / len(values)
    return means


def _known_labels(nlp: Language) -> dict[str, list[str]]:
    """By layer, of all recognisers."""
    components = recognisers(nlp).values()
    return {layer: names for c in components for layer, names in c.layer_labels.items()}


def _load_recogniser(model: str) -> Language:
    old = load_trainable(model)
    if not recognisers(old):
        raise ClinnerError(
            f"{model}: has no clinner_ner, which is what learns from notes here; it has: "
            f"{', '.join(old.pipe_names) or 'nothing'}. Go on from en_clinner, or from a model "
            f"that `clinner train` made."
        )
    return old


def _files(paths: Any) -> list[Path]:
    """The .spacy files of a path or several; of a folder with several splits, those of train."""
    given = [*map(Path, [paths] if isinstance(paths, str | Path) else paths)]
    given = [path / "train.spacy" if (path / "train.spacy").is_file() else path for path in given]
    found = (walk_corpus(path, FILE_TYPE) if path.is_dir() else [path] for path in given)
    return [file for files in found for file in files]


def _is_empty(paths: Any) -> bool:
    """Whether a corpus was converted that has no notes for this split."""
    files = _files(paths)
    return bool(files) and all(f.is_file() and not read_docs(f, Vocab()) for f in files)


def _read(paths: Any, nlp: Language) -> list[Doc]:
    files = _files(paths)
    docs = [doc for file in files for doc in read_docs(file, nlp.vocab) if len(doc)]
    if not any(doc.spans for doc in docs):
        raise ClinnerError(f"{', '.join(map(str, files))}: no note there annotates any layer.")
    return docs


def _copied(doc: Doc) -> Doc:
    """A copy to add to: folds share the notes."""
    (copied,) = DocBin(docs=[doc], store_user_data=True).get_docs(doc.vocab)
    return copied
