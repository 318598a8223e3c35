"""What a model keeps of what it knew: its own findings, beside what annotators judged."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_clinner.annotation.said import get_relations, has_relations, set_relations
from spacy_clinner.annotation.spans import LABELS, annotated_labels, span_key
from spacy_clinner.progress import Progress, quiet

# Old documents among the new ones: as many as these, or so many where these are fewer.
FEWEST_OLD = 10_000


def distil(nlp: Language, docs: Sequence[Doc], progress: Progress = quiet) -> list[str]:
    """Give documents what a model finds in them, of the layers and labels that nobody annotated
    there; what overlaps an annotator's span of the layer gives way.

    A model that goes on learning from them forgets nothing of these layers (learning without
    forgetting, Li and Hoiem 2016). Links are found between the annotators' spans, where these are;
    where annotators said what is linked, only those are added that end at a span which they did not
    look for.

    nlp (Language): The model, as it was before.
    docs (Sequence[Doc]): The documents, changed in place; they have the model's vocabulary.
    progress (Progress): Shows how far it is.
    RETURNS (list[str]): The layers that some document was given.
    """
    given: dict[str, None] = {}
    copies = progress(_found(nlp, docs), "Asking the model of before", len(docs))
    for doc, found in zip(docs, copies, strict=True):
        own = {span_key(span) for group in doc.spans.values() for span in group}
        for layer, group in found.spans.items():
            if layer not in doc.spans or group.attrs != doc.spans[layer].attrs:
                given[layer] = None
                doc.spans[layer] = _same_group(group, doc)
        links = [(_same(h, doc), _same(t, doc), None) for h, t, _ in get_relations(found)]
        if has_relations(doc):
            links = [link for link in links if not own.issuperset(map(span_key, link[:2]))]
        set_relations(doc, [*get_relations(doc), *links])
    return list(given)


def _found(nlp: Language, docs: Sequence[Doc]) -> Iterator[Doc]:
    """Documents of the same tokens, with what the model and, before it, annotators found."""
    learned = {"transformer", "tok2vec", "clinner_ner", "clinner_relations"}
    pipes: list[tuple[str, Any]] = [
        (name, pipe) for name, pipe in nlp.pipeline if nlp.get_pipe_meta(name).factory in learned
    ]
    for doc in docs:
        found = unannotated(doc, nlp.vocab)
        for name, pipe in pipes:
            found = pipe(found)
            if nlp.get_pipe_meta(name).factory == "clinner_ner":
                for layer, group in doc.spans.items():
                    if layer not in pipe.layers and layer in found.spans:
                        continue
                    own = [*found.spans.get(layer, ())]
                    found.spans[layer] = _same_group(group, found)
                    if layer in pipe.layers and annotated_labels(doc, layer) is not None:
                        _complete(found.spans[layer], own, pipe.layer_labels[layer])
        yield found


def unannotated(doc: Doc, vocab: Vocab) -> Doc:
    """A document of the same tokens, without what is annotated.

    doc (Doc): The document.
    vocab (Vocab): That of the new one.
    RETURNS (Doc): The new one.
    """
    return Doc(vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])


def _complete(group: SpanGroup, own: Iterable[Span], labels: Iterable[str]) -> None:
    """Add a model's spans of those labels that the annotators of a group did not look for."""
    judged = group.attrs[LABELS]
    taken = {token for span in group for token in range(span.start, span.end)}
    further = (span for span in own if span.label_ not in judged)
    group.extend([s for s in further if taken.isdisjoint(range(s.start, s.end))])
    group.attrs[LABELS] = sorted({*judged, *labels})


def _same_group(group: SpanGroup, doc: Doc) -> SpanGroup:
    spans = [_same(span, doc) for span in group]
    return SpanGroup(doc, name=group.name, attrs=dict(group.attrs), spans=spans)


def _same(span: Span, doc: Doc) -> Span:
    return Span(doc, span.start, span.end, label=span.label_, span_id=span.id_)


def rehearsal(docs: Sequence[Doc], new: int, seed: int = 0) -> list[Doc]:
    """Choose old documents to be learned again among new ones.

    docs (Sequence[Doc]): The old documents.
    new (int): How many tokens the new ones have.
    seed (int): Decides which are chosen.
    RETURNS (list[Doc]): With as many tokens as the new ones, or 10,000, as far as there are.
    """
    order = list(docs)
    random.Random(seed).shuffle(order)
    before = accumulate((len(doc) for doc in order), initial=0)
    wanted = max(new, FEWEST_OLD)
    return [doc for doc, tokens in zip(order, before, strict=False) if tokens < wanted]


def keep_to_known(
    docs: Iterable[Doc], notes: Iterable[Doc], known: Mapping[str, Collection[str]]
) -> None:
    """Take from old documents what they would teach beside what a model knows, or against the
    notes that it is to learn: layers that neither has, and that what the notes have a new label
    for is nothing, as nobody looked for it there.

    docs (Iterable[Doc]): The old documents, changed in place.
    notes (Iterable[Doc]): The notes.
    known (Mapping[str, Collection[str]]): The model's labels, by layer.
    """
    docs = list(docs)
    old, new = labels_by_layer(docs), labels_by_layer(notes)
    for doc in docs:
        for layer in list(doc.spans):
            if layer not in known and layer not in new:
                del doc.spans[layer]
            elif layer in known and new.get(layer, set()) - {*known[layer], *old[layer]}:
                doc.spans[layer].attrs.setdefault(LABELS, sorted({*known[layer], *old[layer]}))


def labels_by_layer(docs: Iterable[Doc]) -> dict[str, set[str]]:
    """The labels that documents annotate.

    docs (Iterable[Doc]): The documents.
    RETURNS (dict[str, set[str]]): By layer.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for doc in docs:
        for layer, group in doc.spans.items():
            found[layer].update(span.label_ for span in group)
    return found
