"""Random chains of what spaCy does with documents, against a model of what is true."""

import json
import pickle
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_clinner.annotation import store
from spacy_clinner.annotation.said import Assertion, assertion, get_modifiers

WORDS = 4  # of each sentence


@dataclass(frozen=True)
class Known:
    """A document, and of each character of it the sentence it is from and whether that was judged.

    origin (tuple[tuple[int, bool] | None, ...]): The number of the sentence, which no other one
        has; None for a space that was put between documents.
    exact (bool): Whether all that is true must be known: words may be lost for knowledge where
        documents were put together from parts of sentences.
    """

    doc: Doc
    origin: tuple[tuple[int, bool] | None, ...]
    exact: bool = True


def is_negated(number: int) -> bool:
    return number % 3 == 0


def make(vocab: Vocab, numbers: list[int], judged: bool) -> Known:
    """Sentences of equal length, so that what is cut off comes to lie where something else is."""
    words, origin = [], []
    for number in numbers:
        sentence = ["No" if is_negated(number) else "My", "fever", str(number), "."]
        words += sentence
        origin += [(number, judged)] * len(" ".join(sentence) + " ")
    doc = Doc(vocab, words=words, spaces=[True] * len(words))
    starts = range(0, len(doc), WORDS)
    doc.set_ents([Span(doc, start + 1, start + 2, label="PROBLEM") for start in starts])
    if judged:
        for number, ent in zip(numbers, doc.ents, strict=True):
            store.set_values(
                ent,
                negated=is_negated(number),
                assertion="absent" if is_negated(number) else "present",
                assertion_evidence=[f"rule:{number}"],
                confidence=0.5,
            )
            ent._.negation_cue = doc[ent.start - 1 : ent.start] if is_negated(number) else None
            ent._.modifiers = [("NUMBER", doc[ent.end : ent.end + 1], 0.25)]
    return Known(doc, tuple(origin))


def as_doc(known: Known, start: int, end: int) -> Known:
    span = known.doc[start:end]
    doc = span.as_doc(copy_user_data=True)
    origin = known.origin[span.start_char : span.start_char + len(doc.text)]
    return replace(known, doc=doc, origin=origin)


def put_together(first: Known, second: Known) -> Known:
    doc = Doc.from_docs([first.doc, second.doc])
    between = len(doc.text) - len(first.doc.text) - len(second.doc.text)
    return Known(
        doc,
        (*first.origin, *[None] * between, *second.origin),
        first.exact and second.exact,
    )


def through_docbin(doc: Doc, store_user_data: bool) -> Doc:
    data = DocBin(docs=[doc], store_user_data=store_user_data).to_bytes()
    return next(DocBin().from_bytes(data).get_docs(doc.vocab))


def merged(known: Known, start: int, end: int) -> Known:
    doc = known.doc.copy()
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[start:end])
    return with_valid_entities(known, doc)


def with_valid_entities(known: Known, doc: Doc) -> Known:
    """Where spaCy spoils an entity that begins or ends inside the tokens, nothing was done."""
    try:
        list(doc.ents)
    except ValueError:
        return known
    return replace(known, doc=doc)


def split(known: Known, at: int) -> Known:
    doc = known.doc.copy()
    token = doc[at]
    if len(token) > 1:
        with doc.retokenize() as retokenizer:
            heads = [(token, 0), (token, 0)]
            retokenizer.split(token, [token.text[:1], token.text[1:]], heads=heads)
    return with_valid_entities(known, doc)


def relabelled(known: Known) -> Known:
    doc = known.doc.copy()
    doc.set_ents([Span(doc, ent.start, ent.end, label="FINDING") for ent in doc.ents])
    return replace(known, doc=doc)


def judged_again(known: Known) -> Known:
    """What is said of a part must not be said of the whole that it was made of."""
    part = as_doc(known, 0, max(1, len(known.doc) // 2))
    for ent in part.doc.ents:
        store.set_values(ent, negated=None, assertion="hypothetical")
    return known


def change(known: Known, draw: st.DataObject, numbers: st.SearchStrategy[int]) -> Known:
    doc = known.doc
    size = len(doc)
    kinds = ["copy", "pickle", "docbin", "bytes", "json", "join", "before", "unjudged", "forget"]
    kinds += ["slice", "sentences", "merge", "split", "relabel", "part"]
    kind = draw.draw(st.sampled_from(kinds), label="operation")
    if kind in ("join", "before", "unjudged"):
        new = draw.draw(st.lists(numbers, min_size=1, max_size=2))
        other = make(doc.vocab, new, judged=kind != "unjudged")
        pair = (other, known) if kind == "before" else (known, other)
        return put_together(*pair)
    if kind in ("slice", "merge"):
        start = draw.draw(st.integers(0, size - 1), label="start")
        end = draw.draw(st.integers(start + 1, size), label="end")
        if kind == "merge":
            return merged(known, start, min(end, start + 2))
        return replace(as_doc(known, start, end), exact=False)
    if kind == "sentences":
        ends = [0, *(token.i + 1 for token in doc if token.text == ".")]
        start = draw.draw(st.sampled_from(ends[:-1] or [0]), label="start")
        later = [end for end in ends if end > start] or [size]
        return as_doc(known, start, draw.draw(st.sampled_from(later), label="end"))
    if kind == "split":
        return split(known, draw.draw(st.integers(0, size - 1), label="token"))
    if kind == "relabel":
        return relabelled(known)
    if kind == "part":
        return judged_again(known)
    if kind == "forget":
        origin = tuple(item and (item[0], False) for item in known.origin)
        return replace(known, doc=through_docbin(doc, store_user_data=False), origin=origin)
    if kind == "json":
        plain = json.loads(json.dumps(doc.to_json(underscore=["clinner"])))
        return replace(known, doc=Doc(doc.vocab).from_json(plain))
    again = {
        "copy": lambda: doc.copy(),
        "pickle": lambda: pickle.loads(pickle.dumps(doc)),
        "docbin": lambda: through_docbin(doc, store_user_data=True),
        "bytes": lambda: Doc(doc.vocab).from_bytes(doc.to_bytes()),
    }[kind]()
    return replace(known, doc=again)


def check(known: Known) -> None:
    for ent in known.doc.ents:
        said = assertion(ent)
        origins = set(known.origin[ent.start_char : ent.end_char])
        if ent.text != "fever" or len(origins) > 1 or not all(item and item[1] for item in origins):
            assert said == Assertion(), (ent, known.doc.text)
            continue
        ((number, _),) = origins
        if said == Assertion() and not known.exact:
            continue
        assert said.evidence == (f"rule:{number}",), known.doc.text
        assert said.negated is is_negated(number)
        assert said.assertion == ("absent" if is_negated(number) else "present")
        assert ent._.confidence == (0.5 if ent.label_ == "PROBLEM" else None)
        for words, right in (
            *((cue, "No") for cue in [said.negation_cue] if cue is not None),
            *((modifier.span, str(number)) for modifier in get_modifiers(ent)),
        ):
            assert words.text == right
            assert set(known.origin[words.start_char : words.end_char]) == origins


@settings(max_examples=300)
@given(st.data())
def test_what_is_said_of_a_span_follows_it_or_is_none_and_is_never_wrong(data: st.DataObject):
    unused = iter(range(100, 1000))
    numbers = st.builds(lambda: next(unused))
    known = make(Vocab(), [next(unused) for _ in range(data.draw(st.integers(1, 4)))], judged=True)
    for _ in range(data.draw(st.integers(1, 6), label="operations")):
        known = change(known, data, numbers)
        if data.draw(st.booleans(), label="look"):
            check(known)
    check(known)
