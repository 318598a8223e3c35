"""What a model keeps of what it knew: its own findings, beside what annotators judged."""

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from spacy_clinner.annotation.said import get_relations, has_relations, set_relations
from spacy_clinner.progress import Progress, quiet

# Old documents among the new ones: as many as these, or so many where these are fewer.
FEWEST_OLD = 10_000


def distil(nlp: Language, docs: Sequence[Doc], progress: Progress = quiet) -> list[str]:
    """Give documents what a model finds in them, of the layers that nobody annotated there.

    A model that goes on learning from them forgets nothing of these layers (learning without
    forgetting, Li and Hoiem 2016). Links are found between the annotators' spans, where these are.

    nlp (Language): The model, as it was before.
    docs (Sequence[Doc]): The documents, changed in place; they have the model's vocabulary.
    progress (Progress): Shows how far it is.
    RETURNS (list[str]): The layers that some document was given.
    """
    given: dict[str, None] = {}
    copies = progress(_found(nlp, docs), "Asking the model of before", len(docs))
    for doc, found in zip(docs, copies, strict=True):
        for layer, group in found.spans.items():
            if layer not in doc.spans:
                given[layer] = None
                spans = [_same(span, doc) for span in group]
                doc.spans[layer] = SpanGroup(doc, name=layer, spans=spans)
        if not has_relations(doc):
            links = get_relations(found)
            set_relations(doc, ((_same(h, doc), _same(t, doc), None) for h, t, _ in links))
    return list(given)


def _found(nlp: Language, docs: Sequence[Doc]) -> Iterator[Doc]:
    """Documents of the same tokens, with what the model and, before it, annotators found."""
    learned = {"transformer", "tok2vec", "clinner_ner", "clinner_relations"}
    pipes: list[tuple[str, Any]] = [
        (name, pipe) for name, pipe in nlp.pipeline if nlp.get_pipe_meta(name).factory in learned
    ]
    for doc in docs:
        found = Doc(
            nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]
        )
        for name, pipe in pipes:
            found = pipe(found)
            if nlp.get_pipe_meta(name).factory == "clinner_ner":
                for layer, group in doc.spans.items():
                    found.spans[layer] = [_same(span, found) for span in group]
        yield found


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
