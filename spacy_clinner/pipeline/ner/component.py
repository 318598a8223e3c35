"""`clinner_ner`: named entity recognition in layers, with a confidence for each entity."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Optimizer, set_dropout_rate
from thinc.types import Floats2d

from spacy_clinner.annotation import extensions
from spacy_clinner.architectures.decoding import span_posteriors, tag_scores, viterbi
from spacy_clinner.architectures.layered_tagger import LayeredTagger, resize_heads, score_slices
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.layers import (
    LayerPrediction,
    Predictions,
    TokenBatch,
    check_labels,
    check_settings,
    labels_in,
    layer_losses,
    set_ents,
    threshold_of,
)
from spacy_clinner.pipeline.ner.layout import layout_starts
from spacy_clinner.pipeline.ner.learned import LearnedLayers
from spacy_clinner.pipeline.ner.scorer import score_layers
from spacy_clinner.pipeline.ner.writing import write_layers
from spacy_clinner.pipeline.settings import Setting
from spacy_clinner.pipeline.streams import CANNOT_REHEARSE, pipe_by_tokens
from spacy_clinner.schemes import of_layers

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
    assigns=[
        "doc.spans",
        "doc.ents",
        "token.ent_iob",
        "token.ent_type",
        "token.ent_id",
        "span._.confidence",
        "span._.layer",
        "span._.semantic_group",
    ],
    default_config={
        "model": DEFAULT_MODEL,
        "layers": None,
        "ents_from": None,
        "threshold": {},
        "overwrite": False,
        "layout_constraints": True,
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
    layers: list[str] | None,
    ents_from: list[str] | None,
    threshold: float | dict[str, float],
    overwrite: bool,
    layout_constraints: bool,
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
        layout_constraints=layout_constraints,
        scorer=scorer,
        nlp=nlp,
    )


class LayeredNER(LearnedLayers):
    """Recognise entities in several label schemes at once.

    Sets `doc.spans[layer]` for every layer, `doc.ents` from the layers in `ents_from`, and
    `Span._.confidence` and `Span._.layer` on all of them; the spans' `id_` is the layer. Learns a
    layer from the documents that annotate it (`layer in reference.spans`), so corpora with
    different schemes can be mixed.

    vocab (Vocab): The shared vocabulary.
    model (Model[List[Doc], List[Floats2d]]): Scores of all layers; `clinner.LayeredTagger.v1`.
    name (str): The component's name.
    layers (List[str] | None): The keys in `doc.spans`, in order; None for all that the training
        examples annotate. On a trained model: which of those that it learned to set.
    ents_from (List[str] | None): The layers that fill `doc.ents`; where their spans overlap, the
        earlier layer has precedence. None for the first layer.
    threshold (float | Dict[str, float]): The confidence below which spans are dropped, for all
        layers or per layer; 0 where not given.
    overwrite (bool): Whether entities that an earlier component set give way; if False, they
        stay, and predictions that overlap them stay out of `doc.ents`.
    layout_constraints (bool): Whether no entity crosses a blank line or the beginning of a list
        item, whatever the model's scores.
    scorer (Callable | None): The scoring method.
    nlp (Language | None): The pipeline, whose config has these settings. All of them may be
        changed at any time through the attributes of their names.
    RAISES (ClinnerError): A layer is named twice, or an option names an unknown layer.
    """

    ents_from = Setting[list[str] | None]()
    threshold = Setting[float | dict[str, float]]()
    overwrite = Setting[bool]()
    layout_constraints = Setting[bool]()

    def __init__(
        self,
        vocab: Vocab,
        model: LayeredTagger,
        name: str = "ner",
        *,
        layers: Sequence[str] | None = None,
        ents_from: Sequence[str] | None = None,
        threshold: float | dict[str, float] | None = None,
        overwrite: bool = False,
        layout_constraints: bool = True,
        scorer: Callable[..., dict[str, Any]] | None = score_layers,
        nlp: Language | None = None,
    ) -> None:
        TrainablePipe.__init__(self, vocab, model, name)
        self.nlp = nlp
        self.settings = {
            "layers": None if layers is None else list(layers),
            "ents_from": None if ents_from is None else list(ents_from),
            "threshold": dict(threshold) if isinstance(threshold, dict) else threshold or {},
            "overwrite": overwrite,
            "layout_constraints": layout_constraints,
        }
        if layers is not None:
            check_settings(name, self.settings, layers)
        self.learn_nothing(layers or ())
        self.scorer = scorer

    @property
    def temperatures(self) -> dict[str, float]:
        """Per layer what scores are divided by for the confidence; 1 where not fitted."""
        return self.model.attrs["temperatures"]  # type: ignore[no-any-return]

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: dict[str, list[str]] | None = None,
        schemes: list[str] | None = None,
    ) -> None:
        """Learn the labels and the shape of the model.

        get_examples (Callable[[], Iterable[Example]]): Gives the training examples.
        nlp (Language | None): The pipeline.
        labels (Dict[str, List[str]] | None): The labels per layer, as `label_data` gives them; if
            None, they are read from `reference.spans[layer]` of the examples.
        schemes (List[str] | None): Label schemes of the user's own, as paths of TOML files, whose
            descriptions, semantic groups and colours the model then has.
        RAISES (ClinnerError): There is no layer, a layer has no label, or `labels` names an
            unknown layer.
        """
        validate_get_examples(get_examples, "LayeredNER.initialize")
        if labels is None or self.settings["layers"] is None:
            found, seen = labels_in(get_examples(), self.settings["layers"])
        else:
            found, seen = {}, set()
        merged = self.label_data
        merged.update({layer: [] for layer in found if layer not in merged})
        for layer, names in {**found, **(labels or {})}.items():
            if layer not in merged:
                known = ", ".join(merged)
                raise ClinnerError(f"{self.name}: `labels` names layer {layer!r}; known: {known}.")
            merged[layer] += [name for name in names if name not in merged[layer]]
        check_labels(self.name, merged, seen)
        if not self.model.get_ref("output_layer").has_dim("nO"):
            resize_heads(self.model, {}, merged)
        self.set_labels(merged)
        self.set_schemes(of_layers(merged, [*(schemes or ()), *self.scheme_files]))
        check_settings(self.name, self.settings, tuple(merged))
        self._show_thresholds(nlp)
        sample = [example.x for example in islice(get_examples(), 10)]
        self.model.initialize(X=[doc for doc in sample if len(doc)] or sample)

    def _show_thresholds(self, nlp: Language | None) -> None:
        """Name every layer in the config, so that its threshold can be given and searched for."""
        given = self.settings["threshold"]
        if nlp is None or not isinstance(given, dict):
            return
        shown = {**dict.fromkeys(self.layers, 0.0), **given}
        for name, component in nlp.components:
            if component is self:
                nlp.get_pipe_config(name)["threshold"] = shown

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
        starts = self.starts(docs, batch)
        layers = {}
        for layer, logits in self.layer_logits(docs, batch).items():
            scores = tag_scores(logits, starts, self.temperatures.get(layer, 1.0))
            spans = viterbi(scores)  # the best tagging is the same at every temperature
            confidence = span_posteriors(scores, spans)
            sure = confidence >= threshold_of(self.settings["threshold"], layer)
            layers[layer] = LayerPrediction(spans[sure], confidence[sure])
        return Predictions(batch, layers)

    def starts(self, docs: Sequence[Doc], batch: TokenBatch) -> NDArray[np.bool_]:
        """The tokens that no entity goes on at.

        docs (Sequence[Doc]): The documents.
        batch (TokenBatch): Their tokens.
        RETURNS (NDArray[bool]): Shape (kept tokens,).
        """
        constrained: bool = self.settings["layout_constraints"]
        return batch.starts | layout_starts(docs, batch) if constrained else batch.starts

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
            widths = {layer: s.stop - s.start for layer, s in slices.items()}
            return {layer: np.zeros((0, widths[layer]), "f") for layer in self.layers}
        ops = self.model.ops
        logits = ops.to_numpy(ops.flatten(self.model.predict(list(docs))))[batch.kept]
        return {layer: logits[:, slices[layer]] for layer in self.layers}

    def set_annotations(self, docs: Iterable[Doc], predictions: Predictions) -> None:
        """Write `doc.spans`, `doc.ents` and the spans' attributes.

        docs (Iterable[Doc]): The documents that were predicted.
        predictions (Predictions): What `predict` returned for them.
        """
        docs = list(docs)
        written = write_layers(docs, predictions, self.layer_labels, self.schemes)
        for doc, spans in zip(docs, written, strict=True):
            candidates = [span for layer in self.ents_layers for span in spans[layer]]
            set_ents(doc, candidates, self.settings["overwrite"])

    @property
    def ents_layers(self) -> Sequence[str]:
        """The layers that fill `doc.ents`."""
        given: list[str] | None = self.settings["ents_from"]
        return self.layers[:1] if given is None else given

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score by the scorer, over the layers that are set.

        examples (Iterable[Example]): The examples.
        RETURNS (Dict[str, Any]): The scores; see `score_layers`.
        """
        if self.scorer is None:
            return {}
        settings = {"layers": self.layers, "ents_from": self.ents_layers, "labels": self.labels}
        found: dict[str, Any] = self.scorer(examples, **{**settings, **kwargs})
        return found

    def rehearse(self, examples: Iterable[Example], **_: Any) -> dict[str, float]:  # noqa: ARG002
        """Not possible; raises `ClinnerError`."""
        raise ClinnerError(CANNOT_REHEARSE.format(name=self.name))

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
        losses, d_scores = layer_losses(examples, scores, self.layer_labels, self.model.ops)
        if any(not np.isfinite(loss) for loss in losses.values()):
            raise ValueError(Errors.E910.format(name=self.name))
        return losses, d_scores
