"""`clinner_ner`: named entity recognition in layers, with a confidence for each entity."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Optimizer, set_dropout_rate
from thinc.types import Floats2d

from spacy_clinner.annotation import extensions, store
from spacy_clinner.architectures.decoding import span_posteriors, tag_scores, viterbi
from spacy_clinner.architectures.layered_tagger import LayeredTagger, resize_heads, score_slices
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.layers import (
    LayerPrediction,
    Predictions,
    TokenBatch,
    check_layers,
    gold_tags,
    labels_in,
    set_ents,
    tagging_loss,
)
from spacy_clinner.pipeline.ner.scorer import score_layers
from spacy_clinner.pipeline.streams import pipe_by_tokens

DEFAULT_MODEL = Config().from_str("""
[model]
@architectures = "clinner.LayeredTagger.v1"
head_rate = 1.0

[model.tok2vec]
@architectures = "spacy.HashEmbedCNN.v2"
pretrained_vectors = null
width = 96
depth = 4
embed_size = 2000
window_size = 1
maxout_pieces = 3
subword_features = true
""")["model"]


@Language.factory(
    "clinner_ner",
    assigns=["doc.spans", "doc.ents", "token.ent_iob", "token.ent_type", "token.ent_id"],
    default_config={
        "model": DEFAULT_MODEL,
        "layers": ["clinical", "modifiers"],
        "ents_from": ["clinical"],
        "threshold": {},
        "overwrite": False,
        "prefix": "",
        "scorer": {"@scorers": "clinner.layer_scorer.v1"},
    },
    default_score_weights={
        "layers_f": 1.0,
        "layers_p": 0.0,
        "layers_r": 0.0,
        "ents_f": 0.0,
        "ents_p": None,
        "ents_r": None,
        "ents_per_type": None,
    },
)
def create_ner(
    nlp: Language,
    name: str,
    model: LayeredTagger,
    layers: list[str],
    ents_from: list[str],
    threshold: dict[str, float],
    overwrite: bool,
    prefix: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "LayeredNER":
    """Create the component; see `LayeredNER`, and `extensions.register` for the prefix."""
    extensions.register(extensions.NER, prefix)
    return LayeredNER(
        nlp.vocab,
        model,
        name,
        layers=layers,
        ents_from=ents_from,
        threshold=threshold,
        overwrite=overwrite,
        scorer=scorer,
    )


class LayeredNER(TrainablePipe):  # type: ignore[misc]
    """Recognise entities in several label schemes at once.

    Sets `doc.spans[layer]` for every layer, `doc.ents` from the layers in `ents_from`, and
    `Span._.confidence` and `Span._.layer` on all of them; the spans' `id_` is the layer. Learns a
    layer from the documents that annotate it (`layer in reference.spans`), so corpora with
    different schemes can be mixed.

    vocab (Vocab): The shared vocabulary.
    model (Model[List[Doc], List[Floats2d]]): Scores of all layers; `clinner.LayeredTagger.v1`.
    name (str): The component's name.
    layers (List[str]): The keys in `doc.spans`, in order.
    ents_from (List[str]): The layers that fill `doc.ents`; where their spans overlap, the earlier
        layer has precedence.
    threshold (Dict[str, float]): Per layer the confidence below which spans are dropped; 0 where
        not given. May be changed at any time through the attribute of this name.
    overwrite (bool): Whether entities that an earlier component set give way; if False, they
        stay, and predictions that overlap them stay out of `doc.ents`.
    scorer (Callable | None): The scoring method.
    RAISES (ClinnerError): A layer is named twice, or an option names an unknown layer.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: LayeredTagger,
        name: str = "ner",
        *,
        layers: Sequence[str],
        ents_from: Sequence[str] = (),
        threshold: dict[str, float] | None = None,
        overwrite: bool = False,
        scorer: Callable[..., dict[str, Any]] | None = score_layers,
    ) -> None:
        super().__init__(vocab, model, name)
        check_layers(name, layers, ents_from, threshold or {})
        self.cfg: dict[str, Any] = {
            "layers": list(layers),
            "labels": {layer: [] for layer in layers},
            "threshold": dict(threshold or {}),
        }
        self._given_threshold = dict(threshold or {})
        self.ents_from = tuple(ents_from)
        self.overwrite = overwrite
        self.scorer = scorer

    @property
    def layers(self) -> tuple[str, ...]:
        """The keys in `doc.spans` that this component sets."""
        return tuple(self.cfg["layers"])

    @property
    def layer_labels(self) -> dict[str, list[str]]:
        """The labels of each layer."""
        return self.cfg["labels"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all layers, each once."""
        return tuple(dict.fromkeys(name for names in self.layer_labels.values() for name in names))

    @property
    def label_data(self) -> dict[str, list[str]]:
        """What `initialize` takes as `labels`; written by `spacy init labels`."""
        return {layer: list(names) for layer, names in self.layer_labels.items()}

    @property
    def threshold(self) -> dict[str, float]:
        """Per layer the confidence below which spans are dropped."""
        return self.cfg["threshold"]  # type: ignore[no-any-return]

    @property
    def temperatures(self) -> dict[str, float]:
        """Per layer what scores are divided by for the confidence; 1 where not fitted."""
        return self.model.attrs["temperatures"]  # type: ignore[no-any-return]

    def add_label(self, label: str, layer: str | None = None) -> int:
        """Add a label to a layer, before or after training.

        label (str): The label.
        layer (str | None): Its layer; may be left out when there is only one.
        RETURNS (int): 1, or 0 when the layer has the label already.
        RAISES (ClinnerError): The layer is unknown, or left out among several.
        """
        if layer is None and len(self.layers) == 1:
            layer = self.layers[0]
        if layer not in self.layer_labels:
            raise ClinnerError(
                f"{self.name}: cannot add label {label!r} to layer {layer!r}. "
                f"Say which of these layers it belongs to: {', '.join(self.layers)}."
            )
        if label in self.layer_labels[layer]:
            return 0
        self._set_labels({**self.label_data, layer: [*self.layer_labels[layer], label]})
        return 1

    def _set_labels(self, labels: dict[str, list[str]]) -> None:
        # Before `initialize` the number of scores is open: labels may still be added freely.
        if self.model.get_ref("output_layer").has_dim("nO") and labels != self.layer_labels:
            resize_heads(self.model, self.layer_labels, labels)
        self.cfg["labels"] = labels
        self._add_strings()

    def _add_strings(self) -> None:
        for string in (*self.layers, *self.labels):
            self.vocab.strings.add(string)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,  # noqa: ARG002
        labels: dict[str, list[str]] | None = None,
    ) -> None:
        """Learn the labels and the shape of the model.

        get_examples (Callable[[], Iterable[Example]]): Gives the training examples.
        nlp (Language | None): The pipeline.
        labels (Dict[str, List[str]] | None): The labels per layer, as `label_data` gives them; if
            None, they are read from `reference.spans[layer]` of the examples.
        RAISES (ClinnerError): A layer has no label, or `labels` names an unknown layer.
        """
        validate_get_examples(get_examples, "LayeredNER.initialize")
        found, seen = ({}, set()) if labels else labels_in(get_examples(), self.layers)
        merged = self.label_data
        for layer, names in (labels or found).items():
            if layer not in merged:
                known = ", ".join(self.layers)
                raise ClinnerError(f"{self.name}: `labels` names layer {layer!r}; known: {known}.")
            merged[layer] += [name for name in names if name not in merged[layer]]
        for layer, names in merged.items():
            if not names:
                raise ClinnerError(
                    f"{self.name}: no labels for layer {layer!r}: no training document has a span "
                    f"in doc.spans[{layer!r}]. Annotated in the data: "
                    f"{', '.join(sorted(seen)) or 'nothing'}. Remove the layer from the "
                    f"component's `layers`, add data that annotates it, or give `labels`."
                )
        if not self.model.get_ref("output_layer").has_dim("nO"):
            resize_heads(self.model, {}, merged)
        self._set_labels(merged)
        sample = [example.x for example in islice(get_examples(), 10)]
        self.model.initialize(X=[doc for doc in sample if len(doc)] or sample)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Run over a stream of documents; see `pipe_by_tokens`."""
        return pipe_by_tokens(self, stream, batch_size)

    def predict(self, docs: Iterable[Doc]) -> Predictions:
        """Find the spans of all layers, without modifying the documents.

        docs (Iterable[Doc]): The documents.
        RETURNS (Predictions): The spans and their confidence.
        """
        docs = list(docs)
        batch = TokenBatch.of(docs)
        starts = batch.starts
        layers = {}
        for layer, logits in self.layer_logits(docs, batch).items():
            scores = tag_scores(logits, starts, self.temperatures.get(layer, 1.0))
            spans = viterbi(scores)  # the best tagging is the same at every temperature
            confidence = span_posteriors(scores, spans)
            sure = confidence >= self.threshold.get(layer, 0.0)
            layers[layer] = LayerPrediction(spans[sure], confidence[sure])
        return Predictions(batch, layers)

    def layer_logits(
        self, docs: Sequence[Doc], batch: TokenBatch
    ) -> dict[str, NDArray[np.float32]]:
        """Compute the unnormalised scores of a batch.

        docs (Sequence[Doc]): The documents, processed by the components that this one listens to.
        batch (TokenBatch): The same documents' tokens.
        RETURNS (Dict[str, NDArray]): By layer, shape (kept tokens, 2 * labels + 1).
        """
        slices = score_slices(self.layer_labels)
        if not len(batch):
            return {layer: np.zeros((0, s.stop - s.start), "f") for layer, s in slices.items()}
        ops = self.model.ops
        logits = ops.to_numpy(ops.flatten(self.model.predict(list(docs))))[batch.kept]
        return {layer: logits[:, columns] for layer, columns in slices.items()}

    def set_annotations(self, docs: Iterable[Doc], predictions: Predictions) -> None:
        """Write `doc.spans`, `doc.ents` and the spans' attributes.

        docs (Iterable[Doc]): The documents that were predicted.
        predictions (Predictions): What `predict` returned for them.
        """
        docs = list(docs)
        written: dict[str, list[tuple[list[Span], list[dict[str, Any]]]]] = {}
        for layer, prediction in predictions.layers.items():
            doc, start, end = predictions.batch.locate(prediction.spans)
            label = prediction.spans.label
            rows = zip(start.tolist(), end.tolist(), label.tolist(),
                       prediction.confidence.tolist(), strict=True)  # fmt: skip
            counts = np.bincount(doc, minlength=len(docs)).tolist()
            written[layer] = [
                self._write_layer(docs[at], layer, islice(rows, count))
                for at, count in enumerate(counts)
            ]
        for at, doc_ in enumerate(docs):
            store.write(
                doc_,
                (said for layer in written for said in zip(*written[layer][at], strict=True)),
            )
            candidates = [span for layer in self.ents_from for span in written[layer][at][0]]
            set_ents(doc_, candidates, self.overwrite)

    def _write_layer(
        self, doc: Doc, layer: str, rows: Iterable[tuple[int, int, int, float]]
    ) -> tuple[list[Span], list[dict[str, Any]]]:
        names = self.layer_labels[layer]
        spans, said = [], []
        for start, end, label, confidence in rows:
            spans.append(Span(doc, start, end, label=names[label], span_id=layer))
            said.append({"confidence": confidence, "layer": layer})
        doc.spans[layer] = SpanGroup(doc, name=layer, spans=spans)
        return spans, said

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch.

        examples (Iterable[Example]): The batch; may mix documents that annotate different layers.
        drop (float): The dropout rate.
        sgd (Optimizer | None): The optimizer; None only accumulates gradients.
        losses (Dict[str, float] | None): Updated under the component's name, and for each layer
            under "NAME_LAYER".
        RETURNS (Dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "LayeredNER.update")
        if not any(len(example.predicted) for example in examples):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update([example.predicted for example in examples])
        layer_losses, d_scores = self._layer_losses(examples, scores)
        backprop(d_scores)
        if sgd is not None:
            self.finish_update(sgd)
        for layer, loss in layer_losses.items():
            key = f"{self.name}_{layer}"
            losses[key] = losses.get(key, 0.0) + loss
        losses[self.name] += sum(layer_losses.values())
        return losses

    def get_loss(
        self, examples: Iterable[Example], scores: list[Floats2d]
    ) -> tuple[float, list[Floats2d]]:
        """The loss of a batch, `tagging_loss` per layer and token, and its gradient.

        examples (Iterable[Example]): The batch.
        scores (List[Floats2d]): The model's output for the predicted documents.
        RETURNS (Tuple[float, List[Floats2d]]): Loss and gradient.
        """
        layer_losses, d_scores = self._layer_losses(list(examples), scores)
        return sum(layer_losses.values()), d_scores

    def _layer_losses(
        self, examples: list[Example], scores: list[Floats2d]
    ) -> tuple[dict[str, float], list[Floats2d]]:
        ops = self.model.ops
        batch = TokenBatch.of([example.predicted for example in examples])
        flat = ops.flatten(scores)
        logits = ops.to_numpy(flat)[batch.kept]
        gradient = np.zeros(flat.shape, dtype="f")
        rows = np.flatnonzero(batch.kept)
        slices = score_slices(self.layer_labels)
        losses = {}
        for layer, tags in gold_tags(examples, batch, self.layer_labels).items():
            loss, d_logits = tagging_loss(logits[:, slices[layer]], tags, batch)
            # Over all tokens of the batch, not over those that annotate the layer: each annotated
            # token has the same weight, whatever else the batch happens to hold.
            losses[layer] = loss / max(1, len(batch))
            gradient[rows, slices[layer]] = d_logits / max(1, len(batch))
        if any(not np.isfinite(loss) for loss in losses.values()):
            raise ValueError(Errors.E910.format(name=self.name))
        lengths = ops.asarray1i([len(doc) for doc in scores])
        return losses, ops.unflatten(ops.asarray2f(gradient), lengths)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "LayeredNER":
        """Load the component from bytes; thresholds given in the config win over stored ones."""
        super().from_bytes(bytes_data, exclude=exclude)
        return self._loaded()

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "LayeredNER":
        """Load the component from a folder; thresholds given in the config win over stored ones."""
        super().from_disk(path, exclude=exclude)
        return self._loaded()

    def _loaded(self) -> "LayeredNER":
        self.threshold.update(self._given_threshold)
        self._add_strings()
        return self
