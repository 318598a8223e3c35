"""`clinner optimize`: make the CPU edition of a trained pipeline."""

import importlib.metadata
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import spacy
import srsly
from numpy.typing import NDArray
from spacy import util
from spacy.language import Language
from spacy.vocab import Vocab
from thinc.api import Config, Model

import spacy_clinner
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.cpu.batches import WordpieceBatch, make_batches
from spacy_clinner.cpu.encoder import CPUEncoder
from spacy_clinner.cpu.export import export_encoder, max_length, tokenizer_json
from spacy_clinner.cpu.exported import Encoder, read_tokenizer
from spacy_clinner.cpu.listeners import listening_config, swap_listeners
from spacy_clinner.cpu.session import Precision
from spacy_clinner.cpu.telemetry import without_hub
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import spans
from spacy_clinner.evaluation.intervals import Difference, f_difference, f_score, span_counts
from spacy_clinner.files import check_folder, folder_written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.vocabulary import without_texts
from spacy_clinner.tokenization.windows import create_line_windows
from spacy_clinner.tokenization.wordpieces import cut_windows

LINE_WINDOWS = "clinner.line_windows.v1"
CALIBRATION_PIECES = 1024
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

log = logging.getLogger(__name__)


class _TooMuchLost(Exception):
    """Why an edition is not written."""


@dataclass(frozen=True)
class Outcome:
    """What became of an optimisation.

    precision (str): The edition's precision.
    size (int): Bytes of the encoder's files.
    score (float | None): Strict F1 over all layers of the edition, 0 to 1; None when no
        development notes were given.
    lost (Difference | None): Points of F1, of 100, that it loses to the pipeline it was made from,
        with a 95 % interval over the notes; None likewise.
    refused (tuple[str]): For each safer precision that was taken, why the one before was not.
    """

    precision: str
    size: int
    score: float | None = None
    lost: Difference | None = None
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        scores = ""
        if self.score is not None and self.lost is not None:
            scores = f", strict F1 {100 * self.score:.2f}, {loss(self.lost)}"
        return f"{self.precision}, encoder {self.size / 1e6:.1f} MB{scores}"


def loss(lost: Difference) -> str:
    """A loss in words."""
    return f"{lost.value:.2f} points lost{_between(lost)}"


def _between(lost: Difference) -> str:
    if lost.low is None or lost.high is None:
        return ""
    return f" (95 % interval {lost.low:.2f} to {lost.high:.2f})"


@without_hub()
def optimize(
    model: Path,
    out: Path,
    *,
    precision: str = "int8",
    dev: Path | None = None,
    calibration: Path | None = None,
    n_batches: int = 100,
    tolerance: float = 0.5,
    fallback: bool = False,
    force: bool = False,
) -> Outcome:
    """Write the CPU edition of a trained pipeline.

    Its encoder runs on OpenVINO, without torch and transformers; everything else stays as it is.

    model (Path): The trained pipeline, with a `transformer` component.
    out (Path): The folder to write; a pipeline that is there is replaced.
    precision (str): "int8", "bf16" or "fp32", each safer and larger than the one before.
    dev (Path | None): A .spacy file with gold spans, to compare both pipelines on.
    calibration (Path | None): A .spacy file whose texts are used to calibrate int8.
    n_batches (int): Batches to calibrate with, of about 1,000 wordpieces each.
    tolerance (float): Points of strict F1 (of 100) that may be lost on `dev`.
    fallback (bool): Where a precision lost more, take the next safer one.
    force (bool): Write the edition even if it lost more, or if there is no `dev`.
    RETURNS (Outcome): Precision, size and scores.
    RAISES (ClinnerError): A file is missing, the pipeline cannot be converted, or it lost more
        than `tolerance`, and that beyond chance; nothing is written then.
    """
    if precision not in PRECISIONS:
        raise ClinnerError(f"No precision {precision!r}; choose int8, bf16 or fp32.")
    if precision == "int8" and calibration is None:
        raise ClinnerError(
            "int8 needs texts to calibrate with: give a .spacy file of the training corpus "
            "with --calibration."
        )
    _check_paths(model, out, dev, calibration, force)
    safer = PRECISIONS[PRECISIONS.index(precision) :] if fallback else (precision,)
    before = None if dev is None else counts(load_pipeline(model), dev)
    refused: list[str] = []
    for choice in safer:
        try:
            made = _edition(
                model, out, choice, dev, before, calibration, n_batches, tolerance, force
            )
        except _TooMuchLost as error:
            refused.append(str(error))
        else:
            return replace(made, refused=tuple(refused))
    raise ClinnerError(
        f"{out} was not written: {'; '.join(refused)}. Try a safer --precision (bf16, fp32), more "
        "--batches, a higher --tolerance, or --force."
    )


def _edition(
    model: Path,
    out: Path,
    precision: Precision,
    dev: Path | None,
    before: NDArray[np.int64] | None,
    calibration: Path | None,
    n_batches: int,
    tolerance: float,
    force: bool,
) -> Outcome:
    """Write one edition; raises `_TooMuchLost` where it is not to be."""
    nlp = load_pipeline(model)
    transformer: Any = nlp.get_pipe(_transformer_name(nlp))
    batches: list[WordpieceBatch] = []
    if calibration is not None and precision == "int8":
        batches = calibration_batches(nlp, transformer, calibration, n_batches)
    encoder = export_encoder(transformer, precision, batches)
    with folder_written_whole(out) as folder:
        write_edition(nlp, encoder, folder)
        outcome = Outcome(precision, size=sum(len(part) for part in encoder.parts().values()))
        if dev is not None and before is not None:
            after = counts(spacy.load(folder), dev)
            lost = f_difference(before, after)
            outcome = replace(outcome, score=float(f_score(after.sum(axis=0))), lost=lost)
            if too_much(lost, tolerance) and not force:
                raise _TooMuchLost(
                    f"{precision} loses {lost.value:.2f} points of strict F1 on {dev}"
                    f"{_between(lost)}, more than the tolerated {tolerance}"
                )
    return outcome


def too_much(lost: Difference, tolerance: float) -> bool:
    """Whether an edition is to be refused for what it lost.

    lost (Difference): Points of F1 that it lost. A handful of notes cannot tell a small loss from
        none, so the interval must say that there is one, too, where there is one.
    tolerance (float): Points of F1 that may be lost.
    RETURNS (bool): Whether it lost more, and beyond chance.
    """
    return lost.value > tolerance and (lost.low is None or lost.low > min(0.0, tolerance))


def counts(nlp: Language, path: Path) -> NDArray[np.int64]:
    """Count what a pipeline gets right, over all layers that it predicts.

    nlp (Language): The pipeline.
    path (Path): A .spacy file with gold spans.
    RETURNS (NDArray[int64]): As `span_counts`, shape (documents, 3).
    RAISES (ClinnerError): The file cannot be read, or has no gold spans of a layer that the
        pipeline predicts.
    """
    examples = spans.predict_examples(nlp, path)
    spans.use_groups_as_layers(examples, spans.known_labels(nlp))
    layers = spans.predicted_layers(examples)
    if not layers:
        raise ClinnerError(f"{path}: has no gold spans of a layer that the pipeline predicts.")
    return span_counts(examples, layers)


def calibration_batches(
    nlp: Language, transformer: Any, path: Path, n_batches: int
) -> list[WordpieceBatch]:
    """Cut typical input from a corpus.

    nlp (Language): The trained pipeline.
    transformer (Transformer): Its `transformer` component.
    path (Path): A .spacy file.
    n_batches (int): Number of batches.
    RETURNS (List[WordpieceBatch]): At most that many, of all lengths.
    RAISES (ClinnerError): The file has no text.
    """
    docs = [nlp.make_doc(doc.text) for doc in read_docs(path, Vocab())]
    model = transformer.model
    get_spans = util.registry.resolve({"windows": windows_config(nlp, transformer)})["windows"]
    windows = [
        window
        for doc, found in zip(docs, get_spans(docs), strict=True)
        for window in cut_windows(doc, found, 0)
    ]
    if not windows:
        raise ClinnerError(f"{path}: has no text to calibrate with.")
    tokenizer = read_tokenizer(tokenizer_json(model))
    batches = list(make_batches(windows, tokenizer, max_length(model), CALIBRATION_PIECES))
    step = max(1.0, len(batches) / n_batches)
    return [batches[int(at)] for at in np.arange(0, len(batches), step)][:n_batches]


def windows_config(nlp: Language, transformer: Any) -> dict[str, Any]:
    """The span getter of the edition, as a config.

    nlp (Language): The trained pipeline.
    transformer (Transformer): Its `transformer` component.
    RETURNS (Dict[str, Any]): That of the trained pipeline where it is `clinner.line_windows.v1`,
        or else that one with its usual options; windows then differ from training.
    """
    config = nlp.config.interpolate()
    options = dict(config["components"][transformer.name]["model"]["get_spans"])
    name = options.pop("@span_getters")
    if name != LINE_WINDOWS:
        log.warning(
            "%s does not run without spacy-transformers; the edition gets %s. Better train with "
            "that one.",
            name,
            LINE_WINDOWS,
        )
        room = max_length(transformer.model) - 2
        options = {"window": min(128, room), "max_pieces": room}
    return {"@misc": LINE_WINDOWS, **options}


def write_edition(nlp: Language, encoder: Encoder, folder: Path) -> None:
    """Write a pipeline with its transformer replaced.

    nlp (Language): The trained pipeline; its heads no longer work afterwards.
    encoder (Encoder): What takes the transformer's place.
    folder (Path): The folder to write.
    RAISES (ClinnerError): A component needs spacy-transformers.
    """
    name = _transformer_name(nlp)
    windows = windows_config(nlp, nlp.get_pipe(name))
    drops = [pipe for pipe in nlp.component_names if _factory(nlp, pipe) == "clinner_drop_vectors"]
    if not drops:
        nlp.add_pipe("clinner_drop_vectors")
    elif drops[-1] in nlp.disabled:
        nlp.enable_pipe(drops[-1])
    config = nlp.config.interpolate()
    components = {name: {"factory": "clinner_cpu_encoder", "get_spans": windows}}
    for other, section in config["components"].items():
        if other != name:
            components[other] = listening_config(section, encoder.width, other)
    for _, component in nlp.components:
        head = getattr(component, "model", None)
        if isinstance(head, Model):
            swap_listeners(head, encoder.width)
    without_texts(nlp).to_disk(folder, exclude=[name])
    pipe = CPUEncoder(nlp.vocab, name, get_spans=create_line_windows())
    pipe.encoder = encoder
    pipe.to_disk(folder / name)
    # How it was trained, and on whose paths, is left out; what spaCy has instead lets components
    # that are added to it learn.
    usual = {key: dict(section) for key, section in Language.default_config.items()}
    Config({**usual, "nlp": config["nlp"], "components": components}).to_disk(folder / "config.cfg")
    meta = srsly.read_json(folder / "meta.json")
    srsly.write_json(folder / "meta.json", {**meta, **_edition_meta(meta)})


def _edition_meta(meta: dict[str, Any]) -> dict[str, Any]:
    openvino = ".".join(importlib.metadata.version("openvino").split(".")[:2])
    unwanted = (
        "clinner",
        "spacy-clinner",
        "openvino",
        "tokenizers",
        "spacy-transformers",
        "transformers",
        "torch",
    )
    requirements = [
        wanted
        for wanted in meta.get("requirements", [])
        if util.split_requirement(wanted)[0] not in unwanted
    ]
    return {
        "name": meta["name"] if meta["name"].endswith("_cpu") else f"{meta['name']}_cpu",
        "requirements": [
            *requirements,
            f"spacy-clinner[cpu]{util.get_minor_version_range(spacy_clinner.__version__)}",
            # An older runtime need not know all that this one wrote.
            f"openvino>={openvino}",
            f"tokenizers>={importlib.metadata.version('tokenizers')}",
        ],
    }


def _factory(nlp: Language, name: str) -> str:
    return str(nlp.get_pipe_meta(name).factory)


def _transformer_name(nlp: Language) -> str:
    names = [name for name in nlp.component_names if _factory(nlp, name) == "transformer"]
    if len(names) != 1:
        raise ClinnerError(
            f"The pipeline ({', '.join(nlp.component_names)}) has {len(names)} transformer "
            "components; a CPU edition is made of one that has exactly one."
        )
    return names[0]


def _check_paths(
    model: Path, out: Path, dev: Path | None, calibration: Path | None, force: bool
) -> None:
    if not (model / "meta.json").is_file():
        raise ClinnerError(f"{model}: no trained pipeline there.")
    for path in (dev, calibration):
        if path is not None and not path.is_file():
            raise ClinnerError(f"{path}: missing.")
    if dev is None and not force:
        raise ClinnerError(
            "Give development notes with --dev FILE.spacy to compare the scores, or --force."
        )
    check_folder(out, "meta.json", [path for path in (model, dev, calibration) if path])
