"""Labels that are new to a trained recogniser: whose they are, and weights to begin with."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, Linear, use_ops, zero_init

from spacy_clinner.architectures.layered_tagger import head_scale, score_slices, tags
from spacy_clinner.pipeline.ner.layers import GoldTags, TokenBatch, gold_tags, tagging_loss
from spacy_clinner.pipeline.ner.learned import LearnedLayers
from spacy_clinner.training.distillation import labels_by_layer, unannotated

ENCODERS = {"transformer", "tok2vec"}
# Updates, each of a chunk of so many tokens, and their rate in the scores.
STEPS, CHUNK, RATE = 100, 10_000, 0.03


def recognisers(nlp: Language) -> dict[str, LearnedLayers]:
    """The components that find entities, by name."""
    found: dict[str, Any] = dict(nlp.pipeline)
    return {name: c for name, c in found.items() if nlp.pipe_factories[name] == "clinner_ner"}


def new_labels(
    recognisers: Mapping[str, LearnedLayers], docs: Iterable[Doc], frozen: Collection[str] = ()
) -> dict[str, dict[str, list[str]]]:
    """What recognisers do not know yet of what documents annotate.

    recognisers (Mapping[str, LearnedLayers]): The components, by name.
    docs (Iterable[Doc]): The documents.
    frozen (Collection[str]): Those of the components that learn nothing.
    RETURNS (dict[str, dict[str, list[str]]]): By component and layer the labels, sorted. A layer is
        for the component that has it; one that none has, for the first that learns.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for layer, names in labels_by_layer(docs).items():
        owners = [name for name, known in recognisers.items() if layer in known.layer_labels]
        learning = [name for name in recognisers if name not in frozen]
        for name in (owners or learning)[:1]:
            new = names - {*recognisers[name].layer_labels.get(layer, ())}
            if new and name not in frozen:
                found[name][layer] = sorted(new)
    return dict(found)


def fit_new_labels(
    nlp: Language, name: str, docs: Sequence[Doc], new: Mapping[str, Sequence[str]]
) -> None:
    """Give new labels weights that find them over the encoder as it is, before all weights go on
    learning together (Kumar et al., 2022).

    What begins so is learned of a few mentions, and a mean with the weights of before knows it.

    nlp (Language): The pipeline, whose recogniser has the labels already; it is changed.
    name (str): The recogniser.
    docs (Sequence[Doc]): Documents that annotate them.
    new (Mapping[str, Sequence[str]]): The labels, by layer.
    """
    component: Any = nlp.get_pipe(name)
    heads, ops = component.model.get_ref("output_layer"), component.model.ops
    weights, bias = (ops.to_numpy(heads.get_param(param)).copy() for param in ("W", "b"))
    scale, parts = head_scale(component.model), score_slices(component.layer_labels)
    for layer, names in new.items():
        labels = component.layer_labels[layer]
        # Of a layer that is new as a whole, what is outside is new, too.
        fitted = {*names, ""} if len(names) == len(labels) else {*names}
        own = [at for at, (*_, label) in enumerate(tags({layer: labels})) if label in fitted]
        rows = parts[layer].start + np.array(own)
        chunks = [_Chunk.of(nlp, name, part, layer) for part in _chunks(docs, layer)]
        # Of the other tags they stay what they are.
        scored = [
            (chunk, scale * (chunk.vectors @ weights[parts[layer]].T + bias[parts[layer]]))
            for chunk in chunks
        ]
        with use_ops("numpy"):
            probe = Linear(len(rows), weights.shape[1], init_W=zero_init).initialize()
        optimizer = Adam(RATE / scale, L2=0.0, use_averages=False, grad_clip=0.0)
        for chunk, scores in islice(cycle(scored), STEPS):
            found, backprop = probe.begin_update(chunk.vectors)
            scores[:, own] = scale * found
            d_scores: Any = tagging_loss(scores, chunk.gold, chunk.batch)[1][:, own]
            backprop(probe.ops.asarray2f(d_scores / len(chunk.batch)))
            probe.finish_update(optimizer)
        weights[rows], bias[rows] = probe.get_param("W"), probe.get_param("b")
    heads.set_param("W", ops.asarray2f(weights))
    heads.set_param("b", ops.asarray1f(bias))


@dataclass(frozen=True)
class _Chunk:
    """Documents of which an update is made.

    vectors (Floats2d): Of their kept tokens, on the CPU; shape (kept tokens, width).
    batch (TokenBatch): Their tokens.
    gold (GoldTags): What is known of them in the layer.
    """

    vectors: Any
    batch: TokenBatch
    gold: GoldTags

    @classmethod
    def of(cls, nlp: Language, name: str, docs: Sequence[Doc], layer: str) -> "_Chunk":
        component: Any = nlp.get_pipe(name)
        bare = [unannotated(doc, nlp.vocab) for doc in docs]
        for encoder, pipe in nlp.pipeline:
            if nlp.get_pipe_meta(encoder).factory in ENCODERS:
                bare = list(pipe.pipe(bare))  # type: ignore[attr-defined]
        batch, ops = TokenBatch.of(bare), component.model.ops
        vectors = ops.flatten(component.model.get_ref("tok2vec").predict(bare))
        examples = [Example(doc, gold) for doc, gold in zip(bare, docs, strict=True)]
        labels = {layer: component.layer_labels[layer]}
        gold = gold_tags(examples, batch, labels)[layer]
        return cls(ops.to_numpy(vectors)[batch.kept], batch, gold)


def _chunks(docs: Iterable[Doc], layer: str) -> Iterator[list[Doc]]:
    """The documents that annotate a layer, in chunks of about as many tokens."""
    chunk: list[Doc] = []
    for doc in docs:
        if layer in doc.spans and len(doc):
            chunk.append(doc)
        if sum(map(len, chunk)) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
