"""`clinner_relations`: links modifiers to entities, with a confidence for each link."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from spacy_clinner.annotation import extensions, said, store
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.architectures.pair_classifier import PairClassifier
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.relations.candidates import (
    Candidates,
    LegalPairs,
    PredictedLinks,
    choose_links,
    find_candidates,
    located,
    sigmoid,
)
from spacy_clinner.pipeline.relations.gold import gold_links, gold_spans, gold_targets
from spacy_clinner.pipeline.relations.link_layout import not_linked
from spacy_clinner.pipeline.relations.pairs import is_elsewhere, is_path, legal_pairs
from spacy_clinner.pipeline.relations.scorer import Link, score_relations
from spacy_clinner.pipeline.settings import Setting
from spacy_clinner.pipeline.streams import CANNOT_REHEARSE, pipe_by_tokens
from spacy_clinner.pipeline.trained import TrainedComponent

DEFAULT_MODEL = Config().from_str("""
[model]
@architectures = "clinner.PairClassifier.v1"
hidden_width = 128
between_width = 64
head_rate = 1.0
feature_weight = 6.0
vector_weight = 0.3

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
    "clinner_relations",
    assigns=["doc._.relations", "span._.modifiers"],
    requires=["doc.spans"],
    default_config={
        "model": DEFAULT_MODEL,
        "entities": "clinical",
        "modifiers": "modifiers",
        "pairs": "clinical",
        "reach": 40,
        "threshold": 0.5,
        "floor": 0.1,
        "layout_constraints": True,
        "prefix": "",
        "scorer": {"@scorers": "clinner.relation_scorer.v1"},
    },
    default_score_weights={
        "rel_micro_f": 1.0,
        "rel_micro_p": None,
        "rel_micro_r": None,
        "rel_per_pair": None,
    },
)
def create_relations(
    nlp: Language,
    name: str,
    model: PairClassifier,
    entities: str,
    modifiers: str,
    pairs: str | dict[str, list[str]],
    reach: int,
    threshold: float,
    floor: float,
    layout_constraints: bool,
    prefix: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "RelationExtractor":
    """Create the component; see `RelationExtractor`, and `extensions.register` for the prefix."""
    extensions.register(extensions.RELATIONS, prefix)
    return RelationExtractor(
        nlp.vocab,
        model,
        name,
        entities=entities,
        modifiers=modifiers,
        pairs=pairs,
        reach=reach,
        threshold=threshold,
        floor=floor,
        layout_constraints=layout_constraints,
        scorer=scorer,
        nlp=nlp,
    )


class RelationExtractor(TrainedComponent):
    """Link modifiers to the entities that they modify.

    Scores every legal pair of an entity of `doc.spans[entities]` and a modifier of
    `doc.spans[modifiers]` that is within reach, whoever set them. Sets `Doc._.relations` and
    `Span._.modifiers` on the entities, each link with its confidence (the model's probability).
    Learns from the gold spans and relations of the references (`reference._.relations`);
    references without any set are passed over.

    vocab (Vocab): The shared vocabulary.
    model (Model[Tuple[List[Doc], CandidatePairs], Floats2d]): `clinner.PairClassifier.v1`.
    name (str): The component's name.
    entities (str): The key in `doc.spans` of the entities.
    modifiers (str): The key in `doc.spans` of the modifiers; may be the same.
    pairs (str | Dict[str, List[str]]): The legal pairs: by label of an entity the labels of its
        modifiers, or the name (or path) of a scheme that states them. The weights depend on
        them: a trained model has those that it learned.
    reach (int): The most tokens that may stand between the two.
    threshold (float): The confidence from which on a link is made.
    floor (float): A modifier without a link gets its most probable one if its confidence reaches
        this.
    layout_constraints (bool): Whether no link is made that the layout speaks against, whatever the
        model's scores; see `link_layout.not_linked`.
    scorer (Callable | None): The scoring method.
    nlp (Language | None): The pipeline, whose config has these settings. All but `pairs` may be
        changed at any time through the attributes of their names.
    RAISES (ClinnerError): There is no legal pair, or an option is out of its range.
    """

    entities = Setting[str]()
    modifiers = Setting[str]()
    reach = Setting[int]()
    threshold = Setting[float]()
    floor = Setting[float]()
    layout_constraints = Setting[bool]()

    def __init__(
        self,
        vocab: Vocab,
        model: PairClassifier,
        name: str = "relations",
        *,
        entities: str = "clinical",
        modifiers: str = "modifiers",
        pairs: str | Mapping[str, Sequence[str]] = "clinical",
        reach: int = 40,
        threshold: float = 0.5,
        floor: float = 0.1,
        layout_constraints: bool = True,
        scorer: Callable[..., dict[str, Any]] | None = score_relations,
        nlp: Language | None = None,
    ) -> None:
        TrainablePipe.__init__(self, vocab, model, name)
        self.nlp = nlp
        self.settings = {
            "entities": entities,
            "modifiers": modifiers,
            "pairs": pairs,
            "reach": reach,
            "threshold": threshold,
            "floor": floor,
            "layout_constraints": layout_constraints,
        }
        self.use(self.settings)
        # What is learned: the weights are of these pairs.
        self.cfg: dict[str, Any] = {
            "pairs": {} if is_elsewhere(pairs) else legal_pairs(name, pairs)
        }
        self.scorer = scorer

    def use(self, settings: dict[str, Any]) -> None:
        """Stop at settings that are out of range; see `Configured.use`."""
        reach, floor, threshold = (settings[name] for name in ("reach", "floor", "threshold"))
        # A threshold below the floor makes the floor idle; a search for the best one tries it.
        if reach < 0 or not (0.0 <= floor <= 1.0 and 0.0 <= threshold <= 1.0):
            raise ClinnerError(
                f"{self.name}: needs reach >= 0, 0 <= floor <= 1 and 0 <= threshold <= 1; "
                f"got reach {reach}, floor {floor} and threshold {threshold}."
            )

    @property
    def pairs(self) -> str | dict[str, list[str]]:
        """The setting, which stays: the weights depend on it."""
        return self.settings["pairs"]  # type: ignore[no-any-return]

    @property
    def legal(self) -> LegalPairs:
        """The labels that may be linked: those stored with the weights."""
        return LegalPairs.of(self.cfg["pairs"])

    @property
    def linked_groups(self) -> tuple[str, str]:
        """The keys in `doc.spans` of the entities and of the modifiers."""
        return self.settings["entities"], self.settings["modifiers"]

    @property
    def labels(self) -> tuple[str, ...]:
        """The legal pairs as "ENTITY-MODIFIER"."""
        return self.legal.names

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,  # noqa: ARG002
    ) -> None:
        """Learn the shape of the model.

        get_examples (Callable[[], Iterable[Example]]): Gives the training examples.
        nlp (Language | None): The pipeline.
        RAISES (ClinnerError): No reference has a gold relation between legal labels.
        """
        validate_get_examples(get_examples, "RelationExtractor.initialize")
        if not self.cfg["pairs"]:
            self.cfg["pairs"] = legal_pairs(self.name, self.settings["pairs"])
        if is_path(self.settings["pairs"]):
            # The file stays behind when the model goes elsewhere.
            self.take({"pairs": self.cfg["pairs"]})
        legal = set(self.labels)
        found = (link for eg in get_examples() for link in gold_links(eg, *self.linked_groups))
        if not any(link.pair in legal for link in found):
            raise ClinnerError(
                f"{self.name}: nothing to learn from: no training document has a relation of "
                f"doc.spans[{self.entities!r}] with doc.spans[{self.modifiers!r}] in "
                f"doc._.relations that is legal by `pairs` ({', '.join(self.labels[:4])}, ...). "
                f"Set doc._.relations and store the documents with "
                f"DocBin(store_user_data=True); a corpus reader that splits documents "
                f"(max_length, gold_preproc) loses relations."
            )
        sample = list(islice((eg for eg in get_examples() if len(eg.x)), 10))
        docs, candidates = self._gold_candidates(sample)
        self.model.initialize(X=(docs, candidates.pairs))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Run over a stream of documents; see `pipe_by_tokens`."""
        return pipe_by_tokens(self, stream, batch_size)

    def predict(self, docs: Iterable[Doc]) -> PredictedLinks:
        """Find the links between the documents' spans, without modifying the documents.

        docs (Iterable[Doc]): The documents.
        RETURNS (PredictedLinks): The links and their confidence.
        """
        docs = list(docs)
        entities, modifiers = (
            [list(doc.spans.get(key, ())) for doc in docs] for key in self.linked_groups
        )
        candidates = find_candidates(
            docs, map(located, entities), map(located, modifiers), self.legal, self.reach
        )
        return PredictedLinks(entities, modifiers, self._links(docs, candidates))

    def probabilities(self, docs: Sequence[Doc], candidates: Candidates) -> NDArray[np.float64]:
        """The probability of each candidate pair, shape (pairs,)."""
        if not len(candidates.pairs):
            return np.zeros(0)
        scores = self.model.predict((list(docs), candidates.pairs))
        return sigmoid(self.model.ops.to_numpy(scores))

    def _links(
        self, docs: Sequence[Doc], candidates: Candidates
    ) -> list[tuple[int, int, int, float]]:
        probability = self.probabilities(docs, candidates)
        head, tail = candidates.pairs.head, candidates.pairs.tail
        possible = np.arange(len(head))
        if self.layout_constraints:
            possible = np.flatnonzero(~not_linked(docs, candidates, self.legal))
        chosen = choose_links(tail[possible], probability[possible], self.threshold, self.floor)
        kept = possible[chosen]
        head, tail = head[kept], tail[kept]
        columns = (
            candidates.heads.doc[head],
            candidates.heads.origin[head],
            candidates.tails.origin[tail],
            probability[kept],
        )
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def set_annotations(self, docs: Iterable[Doc], predictions: PredictedLinks) -> None:
        """Write `doc._.relations` and the entities' `._.modifiers`.

        docs (Iterable[Doc]): The documents that were predicted.
        predictions (PredictedLinks): What `predict` returned for them.
        """
        rows: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for doc, head, tail, confidence in predictions.rows:
            rows[doc].append((head, tail, confidence))
        for at, doc_ in enumerate(docs):
            entities, modifiers = predictions.entities[at], predictions.modifiers[at]
            found = sorted(rows[at])
            said.set_relations(doc_, ((entities[h], modifiers[t], c) for h, t, c in found))
            linked = defaultdict(list)
            for head, tail, confidence in found:
                modifier = modifiers[tail]
                linked[head].append((modifier.label_, modifier, confidence))
            store.write(
                doc_,
                (
                    (entity, {"modifiers": said.modifier_values(entity, linked[head])})
                    for head, entity in enumerate(entities)
                    if head in linked or store.values(entity).get("modifiers")
                ),
            )

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from the gold spans and relations of a batch.

        examples (Iterable[Example]): The batch.
        drop (float): The dropout rate.
        sgd (Optimizer | None): The optimizer; None only accumulates gradients.
        losses (Dict[str, float] | None): Updated under the component's name.
        RETURNS (Dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "RelationExtractor.update")
        if not any(len(example.predicted) for example in examples):
            return losses
        docs, candidates = self._gold_candidates(examples)
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update((docs, candidates.pairs))
        loss, d_scores = self.get_loss(examples, scores, candidates)
        backprop(d_scores)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def rehearse(self, examples: Iterable[Example], **_: Any) -> dict[str, float]:  # noqa: ARG002
        """Not possible; raises `ClinnerError`."""
        raise ClinnerError(CANNOT_REHEARSE.format(name=self.name))

    def get_loss(
        self, examples: Iterable[Example], scores: Any, candidates: Candidates | None = None
    ) -> tuple[float, Any]:
        """The binary cross entropy of a batch, a mean over its pairs, and its gradient.

        examples (Iterable[Example]): The batch.
        scores (Floats2d): The model's output for the pairs of its gold spans, shape (pairs, 1).
        candidates (Candidates | None): Those pairs.
        RETURNS (Tuple[float, Floats2d]): Loss and gradient.
        """
        examples = list(examples)
        if candidates is None:
            _, candidates = self._gold_candidates(examples)
        if not len(candidates.pairs):
            return 0.0, scores
        logits = self.model.ops.to_numpy(scores).astype("float64").ravel()
        gold = gold_targets(examples, candidates, *self.linked_groups)
        loss = float(np.mean(np.logaddexp(0.0, logits) - gold * logits))
        if not np.isfinite(loss):
            raise ValueError(Errors.E910.format(name=self.name))
        gradient = ((sigmoid(logits) - gold) / len(logits)).astype("float32")
        return loss, self.model.ops.asarray2f(gradient[:, None])

    def links_of_gold(self, examples: Sequence[Example]) -> list[tuple[set[Link], set[Link]]]:
        """Link the references' spans, in place of those that the pipeline finds.

        examples (Sequence[Example]): The examples. Their predicted documents have the token
            vectors that this component listens to.
        RETURNS (List[Tuple[Set[Link], Set[Link]]]): Per example the predicted and the gold links.
        """
        docs, candidates = self._gold_candidates(examples)
        predicted: list[set[Link]] = [set() for _ in examples]
        for doc, head, tail, _ in self._links(docs, candidates):
            spans = examples[doc].reference.spans
            entity, modifier = spans[self.entities][head], spans[self.modifiers][tail]
            predicted[doc].add(Link(span_key(entity), span_key(modifier)))
        golds = (gold_links(example, *self.linked_groups) for example in examples)
        return list(zip(predicted, golds, strict=True))

    def _gold_candidates(self, examples: Sequence[Example]) -> tuple[list[Doc], Candidates]:
        """The pairs of the references' spans, over the predicted documents' tokens."""
        docs = [example.predicted for example in examples]
        heads = [gold_spans(example, self.entities) for example in examples]
        tails = [gold_spans(example, self.modifiers) for example in examples]
        return docs, find_candidates(docs, heads, tails, self.legal, self.reach)
