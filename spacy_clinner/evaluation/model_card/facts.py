"""Everything a card states about a model, gathered as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import srsly
from spacy.glossary import GLOSSARY
from spacy.language import Language
from thinc.api import Model

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.model_card.probes import PROBES, read_probes, run_probes
from spacy_clinner.files import read_toml
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training import provenance

STATEMENTS = Path(__file__).with_name("statements.toml")
SPLITS = ("train", "dev", "test")
EVALUATE = "Run `spacy project run evaluate` first."
# What the config of a transformer tells about its size.
SHAPE = (
    "model_type",
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


@dataclass(frozen=True)
class CardInputs:
    """Where the facts are.

    model (Path): The pipeline that the card is about.
    metrics (Path): What `evaluate` measured of it on test.
    name, version (str): Of its package.
    corpora (Mapping[str, Sequence[str]]): The corpora that it learned from, by name in the
        catalog, with their layers.
    conversion (Path): The `conversion.json` of the corpus made of them.
    sources (Path): Facts about the corpora and encoders, laid out as `configs/sources.toml`.
    encoder (str): The encoder's name there.
    unlabelled (Sequence[str]): Names there of unlabelled texts that were used.
    base (Path | None): The trained pipeline that MODEL, a CPU edition, was made from.
    base_metrics (Path | None): Its metrics, to compare with.
    training (Path | None): The `training.json` of `training_facts`.
    benchmark (Path | None): What `scripts/benchmarks/speed.py` measured.
    kinds (Mapping[str, Path]): By kind of text, what `evaluate` measured on notes of that kind.
    probes (Path): The sentences to ask.
    """

    model: Path
    metrics: Path
    name: str
    version: str
    corpora: Mapping[str, Sequence[str]]
    conversion: Path
    sources: Path
    encoder: str
    unlabelled: Sequence[str] = ()
    base: Path | None = None
    base_metrics: Path | None = None
    training: Path | None = None
    benchmark: Path | None = None
    kinds: Mapping[str, Path] = field(default_factory=dict)
    probes: Path = field(default=PROBES)


def card_facts(inputs: CardInputs) -> dict[str, Any]:
    """Gather the facts; the pipeline is loaded, and asked the probes.

    inputs (CardInputs): Where they are.
    RETURNS (dict[str, Any]): Plain data, for `render` and `package_meta`. What is not known is
        None or empty.
    RAISES (ClinnerError): A file is missing or not what it should be.
    """
    nlp = load_pipeline(inputs.model)
    metrics = read_json(inputs.metrics, EVALUATE)
    if "strict" not in metrics:
        raise ClinnerError(f"{inputs.metrics}: not the metrics.json that `evaluate` writes.")
    sources = read_toml(inputs.sources, "no such file of sources.")
    conversion = read_json(inputs.conversion, "Run `spacy project run convert` first.")
    layers = layer_facts(nlp, metrics)
    training = _optional(inputs.training)
    base = inputs.base or inputs.model
    trained = nlp if base == inputs.model else load_pipeline(base)
    return {
        "name": inputs.name,
        "version": inputs.version,
        "components": dict(nlp.pipe_factories),
        "precision": _precision(nlp),
        "layers": layers,
        "encoder": encoder_facts(inputs.encoder, sources),
        "architecture": architecture_facts(trained),
        "settings": provenance.settings_facts(base),
        "training": training,
        "made": [
            {**part, "encoder": part.get("encoder") and encoder_facts(part["encoder"], sources)}
            for part in (training or {}).get(provenance.MADE, ())
        ],
        "sources": corpus_facts(inputs.corpora, conversion, sources),
        "unlabelled": [source(sources, name) for name in inputs.unlabelled],
        "losses": conversion.get("losses", {}),
        "gold_spans": conversion.get("gold_spans"),
        "metrics": metrics,
        "base_metrics": _optional(inputs.base_metrics),
        "benchmark": _optional(inputs.benchmark),
        "kinds": {kind: read_json(path, EVALUATE) for kind, path in inputs.kinds.items()},
        "probes": [asdict(o) for o in run_probes(nlp, read_probes(inputs.probes), layers)],
        "statements": read_toml(STATEMENTS, "missing."),
    }


def read_json(path: Path, todo: str) -> dict[str, Any]:
    """Read a JSON object; another thing, or no file, raises `ClinnerError`."""
    if not path.is_file():
        raise ClinnerError(f"{path}: missing. {todo}")
    try:
        found = srsly.read_json(path)
    except ValueError as error:
        raise ClinnerError(f"{path}: not JSON ({error}).") from None
    if not isinstance(found, dict):
        raise ClinnerError(f"{path}: not a JSON object.")
    return found


def _optional(path: Path | None) -> dict[str, Any] | None:
    return None if path is None else read_json(path, "Leave its option out to do without.")


def layer_facts(nlp: Language, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of each layer with their descriptions and UMLS semantic groups.

    nlp (Language): The pipeline.
    metrics (Mapping[str, Any]): Its scores, which tell the labels where no `clinner_ner` does.
    RETURNS (dict[str, Any]): By layer and label: "description", "semantic_group".
    """
    labels: dict[str, list[str]] = {
        layer: list(score.get("per_type", {}))
        for layer, score in metrics["strict"].items()
        if layer != "all"
    }
    known = schemes.of_layers(labels)
    for _, pipe in nlp.pipeline:
        labels |= getattr(pipe, "layer_labels", {})
        known |= getattr(pipe, "schemes", {})
    return {layer: _describe(layer, names, known.get(layer)) for layer, names in labels.items()}


def _describe(
    layer: str, names: Sequence[str], scheme: schemes.Scheme | None
) -> dict[str, dict[str, str]]:
    known = {} if scheme is None else scheme.labels
    return {
        name: {
            "description": known[name].description if name in known else GLOSSARY.get(name, ""),
            "semantic_group": known[name].semantic_group
            if name in known
            else schemes.semantic_group(name, layer) or "",
        }
        for name in names
    }


def _precision(nlp: Language) -> str | None:
    """The precision of a CPU edition; None for a pipeline that runs on torch."""
    found: list[Any] = [getattr(pipe, "encoder", None) for _, pipe in nlp.pipeline]
    return next((str(e.precision) for e in found if hasattr(e, "precision")), None)


def architecture_facts(nlp: Language) -> dict[str, Any]:
    """The size of a pipeline.

    nlp (Language): The pipeline, as it was trained.
    RETURNS (dict[str, Any]): "parameters" (number of weights by component that has any) and
        "encoder" (the shape that its transformer's config states); both are empty for a CPU
        edition, whose encoder does not tell.
    """
    parameters: dict[str, int] = {}
    encoder: dict[str, Any] = {}
    if _precision(nlp) is not None:
        return {"parameters": parameters, "encoder": encoder}
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if not isinstance(model, Model):
            continue
        if count := provenance.count_parameters(model):
            parameters[name] = count
        config = getattr(getattr(model, "transformer", None), "config", None)
        if config is not None:
            encoder = {key: getattr(config, key) for key in SHAPE if hasattr(config, key)}
    return {"parameters": parameters, "encoder": encoder}


def corpus_facts(
    corpora: Mapping[str, Sequence[str]], conversion: Mapping[str, Any], sources: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What each corpus is and how much of it there is.

    corpora (Mapping[str, Sequence[str]]): Layers by the name of the corpus.
    conversion (Mapping[str, Any]): The `conversion.json`.
    sources (Mapping[str, Any]): The file of sources.
    RETURNS (list[dict[str, Any]]): Per corpus its source, "layers", "documents" by split (None
        where the conversion does not tell, or two of the corpora annotate the layer) and "spans"
        by split.
    """
    of_layer = Counter(layer for layers in corpora.values() for layer in layers)
    found = []
    for name, layers in corpora.items():
        own = all(of_layer[layer] == 1 for layer in layers)
        counted: dict[str, Any] = {"documents": {}, "spans": {}}
        for split in SPLITS:
            annotated = conversion.get("annotated", {}).get(split)
            spans = conversion.get("spans", {}).get(split)
            counted["documents"][split] = (
                max((annotated.get(layer, 0) for layer in layers), default=0)
                if own and annotated is not None
                else None
            )
            counted["spans"][split] = (
                sum(n for key, n in spans.items() if key.split("/")[0] in layers)
                if own and spans is not None
                else None
            )
        found.append({**source(sources, name), "layers": list(layers), **counted})
    return found


def source(sources: Mapping[str, Any], name: str) -> dict[str, str]:
    """What the file of sources says of a corpus or text; its name alone where it says nothing."""
    entries: Mapping[str, Any] = sources.get("sources", {})
    for key, entry in entries.items():
        if name == key or name in entry.get("corpora", ()):
            return {
                k: str(entry.get(k, "")) for k in ("name", "what", "url", "licence", "citation")
            }
    return {"name": name, "what": "", "url": "", "licence": "", "citation": ""}


def encoder_facts(name: str, sources: Mapping[str, Any]) -> dict[str, str]:
    """What the file of sources says of an encoder, and its name."""
    entry = sources.get("encoders", {}).get(name, {})
    return {"name": name} | {k: str(entry.get(k, "")) for k in ("url", "licence", "citation")}
