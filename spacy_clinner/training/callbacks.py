"""What a config calls so that `spacy train` fits it to the corpus, goes on and calibrates."""

import argparse
import logging
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry, resolve_dot_names

from spacy_clinner.annotation.said import get_relations
from spacy_clinner.corpora.docbin import SCHEMES
from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.pipeline.ner.learned import LearnedLayers
from spacy_clinner.pipeline.settings import Configured
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.schemes import Scheme, of_layers
from spacy_clinner.training.calibration import fit_temperatures
from spacy_clinner.training.new_labels import new_labels, recognisers
from spacy_clinner.training.new_pairs import learn_pairs, linkers, new_pairs
from spacy_clinner.training.provenance import training_counts

LENGTH = ("max_steps", "warmup_steps", "eval_frequency")

log = logging.getLogger(__name__)


class Length(NamedTuple):
    """How long a training is, in updates; the last one is evaluated."""

    max_steps: int
    warmup_steps: int
    eval_frequency: int


def create_fit_to_corpus(
    epochs: float = 16, min_steps: int = 150, evaluations: int = 9, warmup: float = 0.1
) -> Callable[[Language], None]:
    """Fit schemes and length of a training to its corpus; registered as
    `clinner.fit_to_corpus.v1` for `[initialize.before_init]`.

    A `clinner_ner` gets the label schemes beside the corpus; a `clinner_relations` links the layers
    of the corpus, and is removed where no document has a relation. A component that comes trained
    from another pipeline (`source`) stays, and a `clinner_ner` learns what is new to it. Of
    `max_steps`, `warmup_steps` and `eval_frequency` in [variables], those that are 0 are set.
    The saved config has all these values, in [training.optimizer] in place of variables.

    epochs (float): Passes over the corpus, as long as `max_steps` is 0; what
        `[training] max_epochs` says wins.
    min_steps (int): The fewest updates.
    evaluations (int): How often to evaluate; updates are added until they are a multiple of it.
    warmup (float): The part of the updates in which the learning rate rises.
    RETURNS (Callable[[Language], None]): The callback, which raises `ClinnerError` where the corpus
        gives no document.
    """

    def fit(nlp: Language) -> None:
        references = [example.reference for example in _examples(nlp, "train_corpus")]
        if not references:
            raise ClinnerError(
                f"[{nlp.config['training']['train_corpus']}]: no document is left to learn from. "
                f"Those of `max_length` tokens or more are cut into sentences, and left out where "
                f"they have none: raise it, or set it to 0."
            )
        fit_components(nlp, references, _scheme_files(nlp))
        fit_trained(nlp, references, _scheme_files(nlp))
        set_length(nlp, references, epochs, min_steps, evaluations, warmup)
        # `spacy debug data` makes the optimizer from this section as it stands.
        nlp.config["training"]["optimizer"] = nlp.config.interpolate()["training"]["optimizer"]
        log.info("components and length of the training are those of %d notes", len(references))

    return fit


def set_length(
    nlp: Language,
    references: Sequence[Doc],
    epochs: float,
    min_steps: int,
    evaluations: int,
    warmup: float,
) -> None:
    """Set what of a training's length is left open, so that the schedule ends where it does.

    nlp (Language): The pipeline, whose config is changed.
    references (Sequence[Doc]): The corpus.
    epochs (float), min_steps (int), evaluations (int), warmup (float): As in
        `create_fit_to_corpus`.
    """
    variables, training = nlp.config.get("variables", {}), nlp.config["training"]
    unset = [name for name in LENGTH if variables.get(name) == 0]
    if not unset:
        return
    # --training.max_steps and --training.max_epochs say it in spaCy's own words.
    given = variables.get("max_steps") or nlp.config.interpolate()["training"].get("max_steps")
    if training.get("max_epochs", 0) > 0:
        epochs, training["max_epochs"] = training["max_epochs"], 0
    if given:
        found = length(given, 1, evaluations, warmup)._replace(max_steps=given)
    else:
        passes = epochs * _updates_per_pass(nlp, references)
        found = length(passes, min_steps, evaluations, warmup)
    variables.update({name: value for name, value in found._asdict().items() if name in unset})


def length(steps: float, min_steps: int, evaluations: int, warmup: float) -> Length:
    """How long a training is.

    steps (float): Updates that are wanted.
    min_steps (int), evaluations (int), warmup (float): As in `create_fit_to_corpus`.
    RETURNS (Length): The next multiple of the evaluations, so that the last update, where the
        rate ends and the model is best, is evaluated, too.
    """
    frequency = math.ceil(max(min_steps, steps) / evaluations)
    total = evaluations * frequency
    return Length(total, int(total * warmup), frequency)


def fit_components(nlp: Language, references: Sequence[Doc], schemes: Sequence[str] = ()) -> None:
    """Make a pipeline that is not initialised yet learn what a corpus annotates.

    nlp (Language): The pipeline; its components and its config are changed.
    references (Sequence[Doc]): The corpus.
    schemes (Sequence[str]): Files of label schemes of its own.
    """
    layers = list(dict.fromkeys(layer for doc in references for layer in doc.spans))
    config = nlp.config.interpolate()
    # What is disabled here is frozen, or comes trained from another pipeline.
    for name in nlp.pipe_names:
        factory = nlp.pipe_factories[name]
        if factory == "clinner_ner":
            component: Any = nlp.get_pipe(name)
            component.scheme_files = list(schemes)
        elif factory == "clinner_relations":
            settings = {k: v for k, v in config["components"][name].items() if k != "factory"}
            linked = linked_layers(settings["entities"], of_layers(layers, schemes))
            if not any(map(get_relations, references)):
                nlp.remove_pipe(name)
            elif linked:
                nlp.replace_pipe(name, factory, config=settings | linked)


def fit_trained(nlp: Language, references: Sequence[Doc], schemes: Sequence[str] = ()) -> None:
    """Make components that come trained from another pipeline go on in this one, those that
    recognise entities learn the labels and layers that are new to them, and those that link spans
    the pairs.

    nlp (Language): The pipeline, in which spaCy has disabled them while it initialises the others.
    references (Sequence[Doc]): The corpus.
    schemes (Sequence[str]): Files of label schemes of its own.
    """
    frozen = nlp.config["training"]["frozen_components"]
    recognisers: dict[str, LearnedLayers] = {}
    for name, component in nlp.components:
        if name in nlp.pipe_names or not isinstance(component, Configured):
            continue
        # Its settings are those of this pipeline's config now.
        component.nlp = nlp
        if isinstance(component, LearnedLayers):
            recognisers[name] = component
    for name, new in new_labels(recognisers, references, frozen).items():
        recognisers[name].learn_also(new, schemes)
        for layer, names in new.items():
            log.info("%s: %s is to learn %s", name, layer, ", ".join(names))
    known = {name: c for name, c in linkers(nlp).items() if name not in nlp.pipe_names}
    for name, pairs in new_pairs(known, references, frozen)[0].items():
        learn_pairs(known[name], pairs)
        for component in recognisers.values():
            component.take_schemes(schemes)


def linked_layers(entities: str, schemes: Mapping[str, Scheme]) -> dict[str, Any]:
    """Layers and pairs to link, where a corpus does not annotate those of the config.

    entities (str): The layer of the entities in the config.
    schemes (Mapping[str, Scheme]): The schemes of the layers that the corpus annotates.
    RETURNS (dict[str, Any]): Settings of `clinner_relations`; empty where the config's are right.
    """
    if entities in schemes:
        return {}
    for layer, scheme in schemes.items():
        tails = {tail for tails in scheme.pairs.values() for tail in tails}
        modifiers = [name for name, other in schemes.items() if tails & other.labels.keys()]
        if modifiers:
            pairs = scheme.as_data()["pairs"]
            return {"entities": layer, "modifiers": modifiers[0], "pairs": pairs}
    return {}


def create_resume(path: str | Path | None = None) -> Callable[[Language], None]:
    """Go on with a training that was cut off; registered as `clinner.resume.v1` for
    `[initialize.after_init]`.

    path (str | Path | None): The checkpoint, as a rule a `model-last`; None begins anew.
    RETURNS (Callable[[Language], None]): The callback, which raises `ClinnerError` for a checkpoint
        in the folder that `spacy train` writes to, since that deletes what is there.
    """

    def resume(nlp: Language) -> None:
        if path is None:
            return
        if (output := _output_of_spacy()) and output.resolve() in Path(path).resolve().parents:
            raise ClinnerError(
                f"{path}: `spacy train` deletes the models in its --output when it begins, and "
                f"with them what it goes on from. Give another --output."
            )
        go_on(nlp, Path(path))

    return resume


def _output_of_spacy() -> Path | None:
    """The folder that `spacy train` was told to write to: no config and no callback knows it."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("--output", "--output-path", "-o", type=Path)
    return given.parse_known_args(sys.argv[1:])[0].output if "train" in sys.argv else None


def go_on(nlp: Language, checkpoint: Path) -> None:
    """Give a pipeline the weights of a checkpoint, and its training the updates that are left.

    The optimizer starts with empty moments, and the order of the data anew.

    nlp (Language): The initialised pipeline, of the config of the whole training.
    checkpoint (Path): The folder of the checkpoint.
    RAISES (ClinnerError): There is no checkpoint, the config cannot tell where to go on, or
        nothing is left.
    """
    if not (checkpoint / "meta.json").is_file():
        raise ClinnerError(f"{checkpoint}: no checkpoint there to go on from.")
    anew = f"To train anew, delete {checkpoint.parent} and begin without it."
    try:
        done = training_counts(checkpoint).get("step")
        if done is None or "first_step" not in nlp.config.get("variables", {}):
            raise ClinnerError(
                f"{checkpoint}: going on needs a config with `first_step` in [variables] for its "
                f"schedule, and with clinner.RecordingLogger.v1. {anew}"
            )
        left = nlp.config.interpolate()["training"]["max_steps"] - done
        if left <= 0:
            raise ClinnerError(
                f"{checkpoint}: all {done} updates are done, and the models there are whole. Take "
                f"them, or give more updates by --variables.max_steps. {anew}"
            )
        # The config there is that of the earlier run.
        nlp.from_disk(checkpoint, exclude=["config"])
    except ClinnerError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClinnerError(
            f"{checkpoint}: is not whole, or of another training ({one_line(error)}). {anew}"
        ) from None
    nlp.config["variables"]["first_step"] = done
    nlp.config["training"]["max_steps"] = left
    schedule = nlp.config["training"]["optimizer"].get("learn_rate")
    if isinstance(schedule, dict) and "first_step" in schedule:
        schedule["first_step"] = done


def create_calibrate(
    limit: int = 100, first: Callable[[Language], Language] | None = None
) -> Callable[[Language], Language]:
    """Calibrate confidences on dev and leave the words of all texts out of what is saved;
    registered as `clinner.calibrate.v1` for `[training.before_to_disk]`.

    limit (int): The most dev documents to calibrate on, of each set of layers that documents
        annotate; 0 leaves the temperatures as they are.
    first (Callable[[Language], Language] | None): A callback of your own, which is called before.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def calibrate(nlp: Language) -> Language:
        if first is not None:
            nlp = first(nlp)
        names = recognisers(nlp)
        examples = spread(_examples(nlp, "dev_corpus"), limit) if names else []
        for name in names:
            for layer, temperature in fit_temperatures(nlp, examples, name).items():
                log.info("%s: temperature of %s is %.2f", name, layer, temperature)
        return without_texts(nlp)

    return calibrate


def spread(examples: Iterable[Example], limit: int) -> list[Example]:
    """Choose examples evenly from those that annotate the same layers.

    examples (Iterable[Example]): The examples.
    limit (int): The most to choose of each set of layers.
    RETURNS (list[Example]): The chosen ones.
    """
    alike: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in examples:
        alike[tuple(sorted(example.reference.spans))].append(example)
    chosen = []
    for found in alike.values():
        step = max(1.0, len(found) / max(1, limit))
        chosen += [found[int(at * step)] for at in range(min(limit, len(found)))]
    return chosen


def _examples(nlp: Language, corpus: str) -> Iterable[Example]:
    """The examples of `train_corpus` or `dev_corpus`."""
    config = nlp.config.interpolate()
    (reader,) = resolve_dot_names(config, [config["training"][corpus]])
    found: Iterable[Example] = reader(nlp)
    return found


def _updates_per_pass(nlp: Language, references: Sequence[Doc]) -> float:
    batcher: Mapping[str, Any] = nlp.config.interpolate()["training"]["batcher"]
    size = registry.resolve({"batcher": {"size": batcher.get("size")}})["batcher"]["size"]
    if not isinstance(size, int | float):
        raise ClinnerError(
            "the training's length in passes over the corpus needs [training.batcher] with a fixed "
            "`size`. Set one, or give max_steps, warmup_steps and eval_frequency in [variables]."
        )
    return sum(map(len, references)) / size


def _scheme_files(nlp: Language) -> list[str]:
    """What `clinner convert` wrote with the files of the training corpus."""
    section: Any = nlp.config.interpolate()
    for part in section["training"]["train_corpus"].split("."):
        section = section[part]
    paths = section.get("path") or []
    places = map(Path, paths if isinstance(paths, list) else [paths])
    files = [(path if path.is_dir() else path.parent) / SCHEMES for path in places]
    return list(dict.fromkeys(str(file) for file in files if file.is_file()))
