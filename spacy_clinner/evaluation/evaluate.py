"""Score a pipeline on a converted corpus: metrics.json, and the errors to look through."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import error_report, spans
from spacy_clinner.evaluation.assertion import assertion_scores, negated_end_to_end, not_judged
from spacy_clinner.evaluation.groups import by_kind, by_section, note_id, read_kinds
from spacy_clinner.evaluation.intervals import (
    Bounds,
    Floats,
    Ints,
    error_interval,
    f_differences,
    f_intervals,
    f_score,
)
from spacy_clinner.evaluation.note_counts import Place, note_counts, rows
from spacy_clinner.evaluation.relations import relations
from spacy_clinner.evaluation.reliability import (
    Bools,
    binned,
    expected_calibration_error,
    plot_reliability,
)
from spacy_clinner.evaluation.summary import as_markdown
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet


def evaluate(
    model: str | Path,
    corpus: Path,
    out: Path,
    *,
    against: str | Path | None = None,
    kinds: Path | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Run a pipeline over the texts of a corpus and compare with its gold spans.

    model (str | Path): Any spaCy pipeline that finds entities: its folder, or an installed one.
    corpus (Path): A .spacy file.
    out (Path): Folder that gets `metrics.json`, `metrics.md`, `reliability.png`, and
        `errors.jsonl` and `errors.html`, which quote the notes.
    against (str | Path | None): Another pipeline, to tell the difference from.
    kinds (Path | None): Which note is of which kind, see `read_kinds`.
    progress (Progress): Shows how far it is.
    RETURNS (dict[str, Any]): What `metrics.json` holds; `scores` in it are spaCy's own, those of
        `nlp.evaluate`.
    RAISES (ClinnerError): A model or the corpus cannot be read, the corpus is empty, or the
        pipeline finds nothing of what it annotates.
    """
    nlp = load_pipeline(model)
    gold = spans.read_gold(nlp, corpus)
    kind_of = read_kinds(kinds, gold).get if kinds is not None else None
    started = time.perf_counter()
    examples = spans.predict(nlp, gold, progress)
    speed = words_per_second(gold, time.perf_counter() - started)
    scores = Scorer(nlp).score(examples)
    layers = compared_layers(nlp, examples, f"{model} on {corpus}")
    annotated = spans.annotated_layers(examples)
    missing = [layer for layer in annotated if layer not in layers]
    silent = unjudged(examples, layers)
    counts = note_counts(examples, layers, kind_of, silent)
    metrics = {"notes": len(examples), "not_predicted": missing, "scores": scores, "speed": speed}
    metrics |= {"not_judged": silent, **measured(nlp, examples, layers, counts, silent)}
    if kind_of is not None:
        metrics["kinds"] = by_kind(examples, counts, kind_of)
        metrics["without_kind"] = sum(kind_of(note_id(example)) is None for example in examples)
    add_intervals(metrics, counts)
    if against is not None:
        other = load_pipeline(against)
        others = spans.predict_examples(other, corpus, progress)
        spans.use_groups_as_layers(others, spans.known_labels(other))
        found = spans.predicted_layers(others)
        told = differences(examples, others, kind_of)
        lacks = {
            "not_predicted": [layer for layer in annotated if layer not in found],
            "not_judged": unjudged(others, annotated),
        }
        metrics["against"] = {"model": Path(against).name, **lacks, **told}
    write(metrics, examples, layers, out, Path(model).name, corpus.name)
    return metrics


def compared_layers(nlp: Language, examples: Sequence[Example], where: str) -> list[str]:
    """The annotated layers that a pipeline predicts, whatever it calls its groups of spans.

    nlp (Language): The pipeline.
    examples (Sequence[Example]): Predicted docs, to which groups are added, and reference docs.
    where (str): What is compared, for the message.
    RETURNS (list[str]): The layers, at least one.
    RAISES (ClinnerError): There is none, or nothing is annotated.
    """
    annotated = spans.annotated_layers(examples)
    if not annotated:
        raise ClinnerError(
            f"{where}: no note has a group in doc.spans, where gold is read from. To score "
            f"doc.ents, write the file with doc.spans['clinical'] = list(doc.ents)."
        )
    known = spans.known_labels(nlp)
    spans.use_groups_as_layers(examples, known)
    predicted = spans.predicted_layers(examples)
    if not predicted and not any(spans.labels_of(examples, layer) for layer in annotated):
        raise ClinnerError(
            f"{where}: the corpus has not one span, so there is nothing to score. It annotates the "
            f"layers {', '.join(annotated)}."
        )
    if not predicted:
        wanted = ", ".join(
            f"{layer} ({', '.join(sorted(spans.labels_of(examples, layer))) or 'nothing'})"
            for layer in annotated
        )
        raise ClinnerError(
            f"{where}: the pipeline finds nothing that the corpus annotates, so there is nothing "
            f"to score. The corpus has {wanted}; the pipeline has the labels "
            f"{', '.join(sorted(known)) or 'of no component'}."
        )
    return predicted


def unjudged(examples: Sequence[Example], layers: Sequence[str]) -> list[tuple[str, str]]:
    """The assertion attributes that gold has and the pipeline leaves open.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers.
    RETURNS (list[tuple[str, str]]): Layer and attribute, see `not_judged`.
    """
    docs = [(example.reference, example.predicted) for example in examples]
    return [(layer, attribute) for layer in layers for attribute in not_judged(docs, layer)]


def measured(
    nlp: Language,
    examples: Sequence[Example],
    layers: Sequence[str],
    counts: Mapping[Place, Ints],
    silent: Collection[tuple[str, str]],
) -> dict[str, Any]:
    """All scores, without their intervals.

    nlp (Language): The pipeline.
    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score.
    counts (Mapping[tuple[str, ...], NDArray[int64]]): As `note_counts` gives them.
    silent (Collection[tuple[str, str]]): As `unjudged` gives them.
    RETURNS (dict[str, Any]): By table.
    """
    docs = [(example.reference, example.predicted) for example in examples]
    errors = {layer: expected_calibration_error(*pair) for layer, pair in _sure(examples, layers)}
    metrics: dict[str, Any] = {
        "strict": spans.strict(examples, layers),
        "relaxed": spans.relaxed(examples, layers),
        "tokens": spans.tokens(examples, layers),
        "sections": by_section(counts),
        "calibration_error": errors,
        "calibration_interval": {layer: _error_interval(examples, layer) for layer in errors},
        "assertion": {
            layer: {
                attribute: score
                for attribute, score in assertion_scores(docs, layer).items()
                if (layer, attribute) not in silent
            }
            for layer in layers
        },
        "negated_end_to_end": {
            layer: negated_end_to_end([pair for pair in docs if layer in pair[0].spans], layer)
            if (layer, "negated") not in silent
            else {}
            for layer in layers
        },
    }
    if any(nlp.get_pipe_meta(name).factory == "clinner_relations" for name in nlp.pipe_names):
        metrics["relations"] = relations(nlp, examples)
    return metrics


def _sure(
    examples: Sequence[Example], layers: Sequence[str]
) -> Iterator[tuple[str, tuple[Floats, Bools]]]:
    """By layer that has some, confidences and what is correct."""
    for layer in layers:
        pair = spans.confidences(examples, layer)
        if len(pair[0]):
            yield layer, pair


def _error_interval(examples: Sequence[Example], layer: str) -> Bounds:
    bins = [binned(*spans.confidences([example], layer)) for example in examples]
    return error_interval(np.stack(bins))


def add_intervals(metrics: dict[str, Any], counts: Mapping[Place, Ints]) -> None:
    """Put the 95 % interval of each F1 beside it.

    metrics (dict[str, Any]): As `evaluate` returns them, changed in place.
    counts (Mapping[tuple[str, ...], NDArray[int64]]): As `note_counts` gives them.
    """
    for place, bounds in f_intervals(counts).items():
        score: Any = metrics
        for part in place:
            score = score.get(part) if isinstance(score, dict) else None
        if score is not None:
            score["interval"] = bounds


def write(
    metrics: dict[str, Any],
    examples: Sequence[Example],
    layers: Sequence[str],
    out: Path,
    model: str,
    corpus: str,
) -> None:
    """Write what `evaluate` says that it writes.

    metrics (dict[str, Any]): All scores.
    examples (Sequence[Example]), layers (Sequence[str]): What was scored.
    out (Path): The folder.
    model (str), corpus (str): Their names.
    """
    if confidences := dict(_sure(examples, layers)):
        with written_whole(out / "reliability.png") as path:
            plot_reliability(confidences, path)
    with written_whole(out / "metrics.json") as path:
        srsly.write_json(path, metrics)
    with written_whole(out / "metrics.md") as path:
        path.write_text(as_markdown(metrics, model, corpus), encoding="utf8")
    error_report.write_errors(examples, layers, out)


def words_per_second(docs: Sequence[Doc], seconds: float) -> dict[str, float]:
    """How fast notes were read.

    docs (Sequence[Doc]): The notes.
    seconds (float): How long it took, in one process.
    RETURNS (dict[str, float]): "words" (between white space), "seconds" and "words_per_second".
    """
    words = sum(len(doc.text.split()) for doc in docs)
    rate = words / max(seconds, 1e-9)
    return {"words": words, "seconds": round(seconds, 3), "words_per_second": round(rate, 1)}


def differences(
    examples: Sequence[Example],
    others: Sequence[Example],
    kind_of: Callable[[str], str | None] | None = None,
) -> dict[str, dict[str, dict[str, float | None]]]:
    """How much better a pipeline is than another, on the notes of one corpus.

    examples (Sequence[Example]), others (Sequence[Example]): What each predicted, in one order.
    kind_of (Callable[[str], str | None] | None): The kind of a note by its id.
    RETURNS (dict[str, dict[str, dict[str, float | None]]]): By table and row as `rows` has them, of
        the layers that either predicts: f (F1 of the other, 0 to 1), and value, low and high, the
        difference in points of 100 with its 95 % interval (see `Difference`). What neither finds is
        left out.
    """
    found_by = {*spans.predicted_layers(examples), *spans.predicted_layers(others)}
    layers = [layer for layer in spans.annotated_layers(examples) if layer in found_by]
    silent = [pair for found in (examples, others) for pair in unjudged(found, layers)]
    ours, theirs = (note_counts(found, layers, kind_of, silent) for found in (examples, others))
    told = f_differences(ours, theirs)
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for table, places in rows(told).items():
        for name, place in places.items():
            counted = [of[place].sum(axis=0) for of in (ours, theirs) if place in of]
            if any(found_spans for _, found_spans, _ in counted):
                f = float(f_score(theirs[place].sum(axis=0))) if place in theirs else 0.0
                found.setdefault(table, {})[name] = {"f": f, **told[place]._asdict()}
    return found
