"""`clinner optimize`: make the CPU edition of a trained pipeline."""

import importlib.metadata
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import Config

import clinner
from clinner.cpu.encoder import Encoder, create_encoder_pipe, read_tokenizer
from clinner.cpu.export import export_encoder, max_length, tokenizer_json
from clinner.cpu.listeners import listening_config, swap_listeners
from clinner.cpu.session import Precision
from clinner.cpu.wordpieces import WordpieceBatch, cut_windows, make_batches
from clinner.errors import ClinnerError
from clinner.evaluation import spans

CALIBRATION_PIECES = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of an optimisation.

    precision (str): The edition's precision.
    size (int): Bytes of the encoder's files.
    score (float | None): Strict F1 over all layers of the edition, 0 to 1; None when no
        development notes were given.
    torch_score (float | None): The same of the pipeline it was made from.
    """

    precision: Precision
    size: int
    score: float | None = None
    torch_score: float | None = None

    @property
    def lost(self) -> float:
        """Points of F1 lost, of 100; 0 when nothing was compared."""
        if self.score is None or self.torch_score is None:
            return 0.0
        return 100 * (self.torch_score - self.score)


def optimize(
    model: Path,
    out: Path,
    *,
    precision: Precision = "int8",
    dev: Path | None = None,
    calibration: Path | None = None,
    n_batches: int = 100,
    tolerance: float = 0.5,
    force: bool = False,
) -> Outcome:
    """Write the CPU edition of a trained pipeline.

    Its encoder runs on OpenVINO, without torch and transformers; everything else stays as it is.

    model (Path): The trained pipeline, with a `transformer` component.
    out (Path): The folder to write; a pipeline that is there is replaced.
    precision (str): "int8", "bf16" or "fp32".
    dev (Path | None): A .spacy file with gold spans, to compare both pipelines on.
    calibration (Path | None): A .spacy file whose texts are used to calibrate int8.
    n_batches (int): Batches to calibrate with, of about 1,000 wordpieces each.
    tolerance (float): Points of strict F1 (of 100) that may be lost on `dev`.
    force (bool): Write the edition even if it lost more, or if there is no `dev`.
    RETURNS (Outcome): Size and scores.
    RAISES (ClinnerError): A file is missing, the pipeline cannot be converted, or it lost more
        than `tolerance`; nothing is written then.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    _check_paths(model, out, dev, calibration, force)
    nlp = spacy.load(model)
    name = _transformer_name(nlp)
    transformer: Any = nlp.get_pipe(name)
    torch_score = None if dev is None else score(nlp, dev)
    batches: list[WordpieceBatch] = []
    if precision == "int8" and calibration is not None:
        batches = calibration_batches(nlp, transformer, calibration, n_batches)
    encoder = export_encoder(transformer, precision, batches)
    with _folder_written_whole(out) as folder:
        write_edition(nlp, name, encoder, folder)
        outcome = Outcome(
            precision=precision,
            size=sum(len(part) for part in encoder.parts().values()),
            score=None if dev is None else score(spacy.load(folder), dev),
            torch_score=torch_score,
        )
        if outcome.lost > tolerance and not force:
            raise ClinnerError(
                f"{out} was not written: {precision} loses {outcome.lost:.2f} points of strict F1 "
                f"on {dev} ({100 * (torch_score or 0):.2f} before), more than the tolerated "
                f"{tolerance}. Try --precision bf16, more --batches, a higher --tolerance, or "
                "--force."
            )
    return outcome


def score(nlp: Language, path: Path) -> float:
    """Score a pipeline as `spacy project run evaluate` does.

    nlp (Language): The pipeline.
    path (Path): A .spacy file with gold spans.
    RETURNS (float): Strict F1 over all layers, 0 to 1.
    RAISES (ClinnerError): The file has no gold spans of a layer that the pipeline predicts.
    """
    gold = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    predicted = nlp.pipe([doc.text for doc in gold])
    examples = [Example(guess, doc) for guess, doc in zip(predicted, gold, strict=True)]
    spans.use_ents_as_layer(examples)
    layers = spans.predicted_layers(examples)
    if not layers:
        raise ClinnerError(f"{path}: has no gold spans of a layer that the pipeline predicts.")
    return float(spans.strict(examples, layers)["all"]["f"])


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
    docs = [nlp.make_doc(doc.text) for doc in DocBin().from_disk(path).get_docs(nlp.vocab)]
    model = transformer.model
    get_spans = line_windows(nlp)
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
