"""`clinner train --from MODEL`: go on from a trained pipeline with a few notes."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import load_config

from spacy_clinner.corpora.docbin import SCHEMES, read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import folder_written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.progress import Progress, quiet
from spacy_clinner.training.calibration import LayerSpans, fit_temperature, predicted_spans
from spacy_clinner.training.distillation import distil, rehearsal
from spacy_clinner.training.preparation import check_corpora, load_settings, load_trainable
from spacy_clinner.training.run import train

# Where no dev notes choose among models, the last one is the only one to save.
LAST_ONLY = {"initialize.before_init.evaluations": 1, "training.before_to_disk.limit": 0}
CONFIG = Path(__file__).with_name("learn_on.cfg")
# From so many notes on, a fifth of them is held out; of fewer, each is needed to learn from.
ENOUGH_TO_HOLD_OUT = 40
HELD_OUT = 5
FOLDS = 3


@dataclass(frozen=True)
class Split:
    """Notes to learn from, and notes of which nothing was learned."""

    train: Sequence[Doc]
    held_out: Sequence[Doc]


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
    calibrated on `paths.dev`; without one, on a fifth of the notes, which is held out, or for
    fewer than 40 notes by cross-validation.

    model (str): The pipeline, a folder or an installed one.
    output (Path): Folder that gets `model-best` and `model-last`.
    overrides (Mapping[str, Any]): Values of the config by dotted key; `paths.train` must be there.
    gpu_id (int): The GPU, or -1 for the CPU.
    epochs (int | None): Passes over the notes.
    rehearse (Sequence[Path]): Further .spacy files, of old documents to learn again some of.
    progress (Progress): Shows how far it is.
    RETURNS (dict[str, Any]): As `training_facts`, with "learning_on": what was held out, which
        layers the model of before annotated and how many documents it rehearsed.
    RAISES (ClinnerError): As `train`; or the model cannot be trained.
    """
    given = load_settings(CONFIG, overrides)
    paths = given["paths"]
    # Without a dev corpus the notes are their own.
    check_corpora({"paths": {"train": paths["train"], "dev": paths["dev"] or paths["train"]}})
    old = load_trainable(model)
    notes = _read(paths["train"], old)
    again = rehearsal([doc for path in rehearse for doc in read_docs(path, old.vocab)], len(notes))
    learned = [_copied(doc) for doc in notes]
    facts: dict[str, Any] = {"notes": len(notes), "rehearsed": len(again)}
    facts["distilled"] = sorted({*distil(old, learned, progress), *distil(old, again, progress)})
    with tempfile.TemporaryDirectory() as scratch:
        run = _Run(model, Path(scratch), overrides, gpu_id, epochs, again)
        run.keep_schemes(paths["train"])
        if paths["dev"] is not None:
            done = run.train(output, Split(learned, _read(paths["dev"], old)))
        elif len(notes) >= ENOUGH_TO_HOLD_OUT:
            split = hold_out(learned, notes, HELD_OUT, 0)
            facts["held_out"] = len(split.held_out)
            done = run.train(output, split)
        else:
            # A single note cannot be held out.
            folds = FOLDS if len(notes) >= FOLDS else 0
            facts |= {"held_out": len(notes) if folds else 0, "folds": folds}
            calibration = cross_validated(run, learned, notes, folds)
            done = run.train(output, Split(learned, notes))
            calibrate_as(output, calibration, old)
        restore_paths(output, paths)
    return done | {"learning_on": facts}


def hold_out(learned: Sequence[Doc], notes: Sequence[Doc], parts: int, part: int) -> Split:
    """Hold out every so-manieth note.

    learned (Sequence[Doc]): The notes as they are learned from.
    notes (Sequence[Doc]): The same notes, with the spans of annotators alone.
    parts (int): In how many parts they are cut.
    part (int): The part to hold out, from 0 on.
    RETURNS (Split): The notes.
    """
    kept = [doc for at, doc in enumerate(learned) if at % parts != part]
    return Split(kept, [doc for at, doc in enumerate(notes) if at % parts == part])


class _Run:
    """One or several trainings that go on from the same model."""

    def __init__(
        self,
        model: str,
        scratch: Path,
        overrides: Mapping[str, Any],
        gpu_id: int,
        epochs: int | None,
        again: Sequence[Doc],
    ) -> None:
        self.model, self.scratch = model, scratch
        self.overrides, self.gpu_id, self.epochs = dict(overrides), gpu_id, epochs
        self.again = again

    def last_only(self) -> None:
        """Save the last model only, and do not calibrate it."""
        self.overrides |= LAST_ONLY

    def keep_schemes(self, train: Any) -> None:
        """Copy the schemes beside a corpus to where the trainings look for them."""
        for path in train if isinstance(train, list) else [train]:
            if (schemes := Path(path).parent / SCHEMES).is_file():
                shutil.copy(schemes, self.scratch / SCHEMES)

    def train(self, output: Path, split: Split) -> dict[str, Any]:
        """Train on notes, and on old documents among them."""
        paths = [self._written("train", split.train)]
        if self.again:
            paths.append(self._written("again", self.again))
        dev = self._written("dev", split.held_out)
        return train(
            CONFIG,
            output,
            overrides=self.overrides | {"paths.train": paths, "paths.dev": dev},
            gpu_id=self.gpu_id,
            epochs=self.epochs,
            start=self.model,
        )

    def _written(self, name: str, docs: Sequence[Doc]) -> str:
        path = self.scratch / f"{name}.spacy"
        DocBin(docs=docs, store_user_data=True).to_disk(path)
        return str(path)


@dataclass(frozen=True)
class Calibration:
    """What models that lacked a part of the notes each found in that part.

    spans (dict[str, list[LayerSpans]]): By layer, of each model.
    scores (list[dict[str, Any]]): spaCy's scores of each model.
    """

    spans: dict[str, list[LayerSpans]]
    scores: list[dict[str, Any]]


def cross_validated(
    run: _Run, learned: Sequence[Doc], notes: Sequence[Doc], folds: int
) -> Calibration:
    """Train a model without each part of the notes, and let it find what is in that part."""
    run.last_only()
    done = Calibration(defaultdict(list), [])
    for part in range(folds):
        split = hold_out(learned, notes, folds, part)
        folder = run.scratch / f"fold-{part}"
        run.train(folder, split)
        nlp = load_pipeline(folder / "model-last")
        done.scores.append(srsly.read_json(folder / "model-last/meta.json")["performance"])
        for name in recognisers(nlp):
            examples = [Example(nlp.make_doc(doc.text), doc) for doc in split.held_out]
            for layer, spans in predicted_spans(nlp, examples, name).items():
                if len(spans.spans):
                    done.spans[layer].append(spans)
        shutil.rmtree(folder)
    return done


def calibrate_as(output: Path, calibration: Calibration, old: Language) -> None:
    """Give a model that learned from all notes the temperatures of those that lacked some.

    output (Path): Folder of the models. All updates count, as nothing was held out by which an
        earlier model could be better: the last one becomes the best one.
    calibration (Calibration): What the others found.
    old (Language): The model of before, whose layers that nobody annotated stay as they were.
    """
    nlp = load_pipeline(output / "model-last")
    fitted = {layer: fit_temperature(parts) for layer, parts in calibration.spans.items()}
    for name in recognisers(nlp):
        component: Any = nlp.get_pipe(name)
        before: Any = old.get_pipe(name)
        for layer in component.layer_labels:
            component.temperatures[layer] = fitted.get(layer, before.temperatures.get(layer, 1.0))
    nlp.meta["performance"] = mean_scores(calibration.scores)
    for name in ("model-best", "model-last"):
        with folder_written_whole(output / name) as folder:
            without_texts(nlp).to_disk(folder)


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


def restore_paths(output: Path, paths: Mapping[str, Any]) -> None:
    """Write the user's own paths into the configs of models, in place of those of scratch files.

    output (Path): Folder of the models.
    paths (Mapping[str, Any]): The paths.
    """
    for file in output.glob("model-*/config.cfg"):
        config = load_config(file)
        config["paths"].update(paths)
        config.to_disk(file)


def recognisers(nlp: Language) -> list[str]:
    """The names of the components that find entities."""
    return [name for name in nlp.pipe_names if nlp.pipe_factories[name] == "clinner_ner"]


def _read(paths: Any, nlp: Language) -> list[Doc]:
    found = paths if isinstance(paths, list) else [paths]
    docs = [doc for path in found for doc in read_docs(Path(path), nlp.vocab)]
    if not any(doc.spans for doc in docs):
        raise ClinnerError(f"{', '.join(map(str, found))}: no note there annotates any layer.")
    return docs


def _copied(doc: Doc) -> Doc:
    """A copy to add to: folds share the notes."""
    (copied,) = DocBin(docs=[doc], store_user_data=True).get_docs(doc.vocab)
    return copied
