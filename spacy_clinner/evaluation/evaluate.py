"""Score a pipeline on a converted corpus: metrics.json, and the errors to look through."""

from pathlib import Path
from typing import Any

import srsly
from spacy.training import Example

from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import error_report, spans
from spacy_clinner.evaluation.assertion import assertion_scores, negated_end_to_end
from spacy_clinner.evaluation.relations import relations
from spacy_clinner.evaluation.reliability import expected_calibration_error, plot_reliability
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet


def evaluate(model: Path, corpus: Path, out: Path, *, progress: Progress = quiet) -> dict[str, Any]:
    """Run a pipeline over the texts of a corpus and compare with its gold spans.

    model (Path): The trained pipeline.
    corpus (Path): A .spacy file.
    out (Path): Folder that gets `metrics.json`, `reliability.png`, and `errors.jsonl` and
        `errors.html`, which quote the notes.
    progress (Progress): Shows how far it is.
    RETURNS (dict[str, Any]): What `metrics.json` holds.
    RAISES (ClinnerError): Model or corpus cannot be read, or the corpus is empty.
    """
    nlp = load_pipeline(model)
    gold = read_docs(corpus, nlp.vocab)
    if not gold:
        raise ClinnerError(f"{corpus}: holds no note.")
    texts = (doc.text for doc in gold)
    predicted = progress(nlp.pipe(texts), "Predicting", len(gold))
    examples = [Example(guess, doc) for guess, doc in zip(predicted, gold, strict=True)]
    spans.use_ents_as_layer(examples)
    layers = spans.predicted_layers(examples)
    metrics = {
        "notes": len(gold),
        "strict": spans.strict(examples, layers),
        "relaxed": spans.relaxed(examples, layers),
        "tokens": spans.tokens(examples, layers),
    }
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
    error_report.write_errors(examples, layers, out)
    return metrics
