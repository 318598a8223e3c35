"""Score a pipeline on a converted corpus: metrics.json, and the errors to look through."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import srsly
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.evaluation import error_report, spans
from spacy_clinner.evaluation.assertion import assertion_scores, negated_end_to_end
from spacy_clinner.evaluation.groups import by_kind, by_section, read_kinds
from spacy_clinner.evaluation.intervals import f_difference, f_score, span_counts
from spacy_clinner.evaluation.relations import relations
from spacy_clinner.evaluation.reliability import expected_calibration_error, plot_reliability
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
    RAISES (ClinnerError): A model or the corpus cannot be read, or the corpus is empty.
    """
    nlp = load_pipeline(model)
    gold = spans.read_gold(nlp, corpus)
    started = time.perf_counter()
    examples = spans.predict(nlp, gold, progress)
    speed = words_per_second(gold, time.perf_counter() - started)
    scores = Scorer(nlp).score(examples)
    spans.use_ents_as_layer(examples)
    layers = spans.predicted_layers(examples)
    metrics = {
        "notes": len(examples),
        "scores": scores,
        "strict": spans.strict(examples, layers),
        "relaxed": spans.relaxed(examples, layers),
        "tokens": spans.tokens(examples, layers),
        "sections": by_section(examples, layers),
        "speed": speed,
    }
    if kinds is not None:
        metrics["kinds"] = by_kind(examples, layers, read_kinds(kinds).get)
    if against is not None:
        others = spans.predict_examples(load_pipeline(against), corpus, progress)
        spans.use_ents_as_layer(others)
        metrics["against"] = {"model": Path(against).name, "strict": differences(examples, others)}
    confidences = {layer: spans.confidences(examples, layer) for layer in layers}
    confidences = {layer: pair for layer, pair in confidences.items() if len(pair[0])}
    metrics["calibration_error"] = {
        layer: expected_calibration_error(*pair) for layer, pair in confidences.items()
    }
    metrics["assertion"] = {
        layer: assertion_scores(((e.reference, e.predicted) for e in examples), layer)
        for layer in layers
    }
    metrics["negated_end_to_end"] = {
        layer: negated_end_to_end(
            ((e.reference, e.predicted) for e in examples if layer in e.reference.spans), layer
        )
        for layer in layers
    }
    if "clinner_relations" in nlp.pipe_factories.values():
        metrics["relations"] = relations(nlp, examples)
    if confidences:
        with written_whole(out / "reliability.png") as path:
            plot_reliability(confidences, path)
    with written_whole(out / "metrics.json") as path:
        srsly.write_json(path, metrics)
    with written_whole(out / "metrics.md") as path:
        summary = as_markdown(metrics, Path(model).name, corpus.name)
        path.write_text(summary, encoding="utf8")
    error_report.write_errors(examples, layers, out)
    return metrics


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
    examples: Sequence[Example], others: Sequence[Example]
) -> dict[str, dict[str, float]]:
    """How much better a pipeline is than another, on the notes of one corpus.

    examples (Sequence[Example]), others (Sequence[Example]): What each predicted, in one order.
    RETURNS (dict[str, dict[str, float]]): By layer that both predict, and "all" for these
        together: f (strict F1 of the other, 0 to 1), and value, low and high, the difference in
        points of 100 with its 95 % interval.
    """
    both = set(spans.predicted_layers(others))
    layers = [layer for layer in spans.predicted_layers(examples) if layer in both]
    found = {}
    for name, among in [*((layer, [layer]) for layer in layers), ("all", layers)]:
        ours, theirs = span_counts(examples, among), span_counts(others, among)
        other = float(f_score(theirs.sum(axis=0)))
        found[name] = {"f": other, **f_difference(ours, theirs)._asdict()}
    return found
