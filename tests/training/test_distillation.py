import pytest
from spacy.lang.en import English
from spacy.tokens import DocBin, Span, SpanGroup
from spacy.training import Example

from spacy_clinner.annotation.said import get_relations, set_relations
from spacy_clinner.annotation.spans import LABELS, annotated_labels
from spacy_clinner.training.distillation import distil, keep_to_known

TINY = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 32,
        "depth": 1, "embed_size": 500, "window_size": 1, "maxout_pieces": 2,
        "subword_features": False}  # fmt: skip
TEXT = "No fever . Takes aspirin daily ."
KNOWN = {"fever": "PROBLEM", "aspirin": "DRUG", "daily": "TIME"}


def of_words(doc, by_word, layer="clinical", **attrs):
    spans = [Span(doc, t.i, t.i + 1, label=by_word[t.text]) for t in doc if t.text in by_word]
    doc.spans[layer] = SpanGroup(doc, name=layer, attrs=attrs, spans=spans)
    return doc


def found(doc, layer="clinical"):
    return sorted((span.text, span.label_) for span in doc.spans[layer])


@pytest.fixture(scope="module")
def old():
    """A model that knows three labels of one layer."""
    nlp = English()
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 1.0, "tok2vec": TINY}
    nlp.add_pipe("clinner_ner", name="ner", config={"model": tagger})
    examples = [Example(nlp.make_doc(TEXT), of_words(nlp.make_doc(TEXT), KNOWN))]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01
    for _ in range(40):
        nlp.update(examples, sgd=sgd)
    assert found(nlp(TEXT)) == sorted(KNOWN.items())
    return nlp


@pytest.fixture
def linking(old):
    """The model, with a component that links all times to all else."""
    pairs = {"PROBLEM": ["TIME"], "DRUG": ["TIME"]}
    own = {"@architectures": "clinner.RelationScorer.v1", "hidden_width": 32, "between_width": 8,
           "tok2vec": TINY}  # fmt: skip
    config = {"model": own, "modifiers": "clinical", "pairs": pairs, "threshold": 0.0}
    component = old.add_pipe("clinner_relations", name="relations", config=config)
    gold = of_words(old.make_doc(TEXT), KNOWN)
    _, aspirin, daily = gold.spans["clinical"]
    set_relations(gold, [(aspirin, daily, None)])
    component.initialize(lambda: [Example(old.make_doc(TEXT), gold)], nlp=old)
    assert links(old(TEXT)) == [("aspirin", "daily"), ("fever", "daily")]
    yield old
    old.remove_pipe("relations")


def links(doc):
    return sorted((head.text, tail.text) for head, tail, _ in get_relations(doc))


def test_links_of_labels_that_annotators_did_not_look_for_are_those_of_the_model_of_before(linking):
    doc = of_words(linking.make_doc(TEXT), {"No": "PROBLEM", "daily": "TIME"},
                   labels=["PROBLEM", "TIME"])  # fmt: skip
    (no, daily) = doc.spans["clinical"]
    set_relations(doc, [(no, daily, None)])
    both = of_words(linking.make_doc(TEXT), KNOWN)
    set_relations(both, [])
    distil(linking, [doc, both])
    # It would link the fever, which they judged to be none, too.
    assert links(doc) == [("No", "daily"), ("aspirin", "daily")]
    assert links(both) == []


def test_links_of_layers_that_nobody_annotated_are_those_of_the_model_of_before(linking):
    doc = of_words(linking.make_doc(TEXT), {"Takes": "VERB"}, "verbs")
    set_relations(doc, [])
    distil(linking, [doc])
    assert links(doc) == [("aspirin", "daily"), ("fever", "daily")]


def test_labels_that_annotators_did_not_look_for_are_those_of_the_model_of_before(old):
    doc = of_words(old.make_doc(TEXT), {"Takes": "DRUG"}, labels=["DRUG"])
    assert distil(old, [doc]) == ["clinical"]
    # Its aspirin is not theirs: they judged drugs.
    assert found(doc) == [("Takes", "DRUG"), ("daily", "TIME"), ("fever", "PROBLEM")]
    assert annotated_labels(doc, "clinical") == {"DRUG", "PROBLEM", "TIME"}
    (stored,) = DocBin(docs=[doc]).get_docs(old.vocab)
    assert annotated_labels(stored, "clinical") == {"DRUG", "PROBLEM", "TIME"}


def test_what_overlaps_an_annotators_span_gives_way(old):
    doc = of_words(old.make_doc(TEXT), {"fever": "SIGN"}, labels=["SIGN"])
    distil(old, [doc])
    assert found(doc) == [("aspirin", "DRUG"), ("daily", "TIME"), ("fever", "SIGN")]


def test_groups_that_annotators_judged_and_layers_that_are_new_stay_as_they_are(old):
    whole = of_words(old.make_doc(TEXT), {"fever": "SIGN"})
    other = of_words(old.make_doc(TEXT), {"fever": "SIGN"}, "other", labels=["SIGN"])
    assert distil(old, [whole]) == []
    assert found(whole) == [("fever", "SIGN")]
    assert distil(old, [other]) == ["clinical"]
    assert found(other, "other") == [("fever", "SIGN")]
    assert other.spans["other"].attrs == {LABELS: ["SIGN"]}


def test_old_documents_say_nothing_of_labels_that_only_the_notes_have(old):
    again = of_words(old.make_doc(TEXT), KNOWN)
    of_words(again, {"Takes": "VERB"}, "verbs")
    of_words(again, {"No": "NEGATION"}, "others")
    notes = [of_words(old.make_doc(TEXT), {"fever": "SIGN"})]
    of_words(notes[0], {"Takes": "VERB"}, "verbs")
    known = old.get_pipe("ner").layer_labels
    keep_to_known([again], notes, known)
    assert list(again.spans) == ["clinical", "verbs"]
    assert annotated_labels(again, "clinical") == {"DRUG", "PROBLEM", "TIME"}
    # The notes bring this layer, and old documents that have it teach it, too.
    assert annotated_labels(again, "verbs") is None


def test_old_documents_stay_as_they_are_where_the_notes_have_no_new_label(old):
    again = of_words(old.make_doc(TEXT), KNOWN)
    keep_to_known([again], [of_words(old.make_doc(TEXT), {"fever": "PROBLEM"})],
                  old.get_pipe("ner").layer_labels)  # fmt: skip
    assert annotated_labels(again, "clinical") is None
