import pytest
from spacy.lang.en import English
from spacy.tokens import Span
from spacy.training import Example

from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.note_counts import note_counts
from spacy_clinner.evaluation.outcomes import BOUNDARIES, CORRECT, FALSE_ALARM, MISS
from spacy_clinner.evaluation.relations import compare_links, relations
from spacy_clinner.pipeline.relations.scorer import score_relations

TEXT = "No fever or severe cough today . Takes aspirin daily"


def make_doc(nlp, links, entities=((1, 2, "PROBLEM"), (4, 5, "PROBLEM"), (8, 9, "DRUG"))):
    """Links as (entity, modifier), each a slice of tokens with a label."""
    doc = nlp.make_doc(TEXT)
    doc.spans["clinical"] = [Span(doc, s, e, label=label) for s, e, label in entities]
    modifiers = [(0, 1, "NEGATION"), (3, 4, "SEVERITY"), (9, 10, "FREQUENCY")]
    doc.spans["modifiers"] = [Span(doc, s, e, label=label) for s, e, label in modifiers]
    doc._.relations = [
        (Span(doc, *head[:2], label=head[2]), Span(doc, *tail[:2], label=tail[2]), None)
        for head, tail in links
    ]
    return doc


FEVER, COUGH, ASPIRIN = (1, 2, "PROBLEM"), (4, 5, "PROBLEM"), (8, 9, "DRUG")
NO, SEVERE, DAILY = (0, 1, "NEGATION"), (3, 4, "SEVERITY"), (9, 10, "FREQUENCY")
GOLD = [(FEVER, NO), (COUGH, NO), (COUGH, SEVERE), (ASPIRIN, DAILY)]


@pytest.fixture(scope="module")
def nlp():
    nlp = English()
    nlp.add_pipe("clinner_relations", name="links")
    nlp.initialize(lambda: [Example(nlp.make_doc(TEXT), make_doc(nlp, GOLD))])
    return nlp


def test_links_are_scored_end_to_end_and_per_pair(nlp):
    predicted = make_doc(nlp, [(FEVER, NO), (COUGH, SEVERE), (FEVER, SEVERE)])
    scores = relations(nlp, [Example(predicted, make_doc(nlp, GOLD))])["end_to_end"]
    assert scores["p"] == pytest.approx(2 / 3)
    assert scores["r"] == pytest.approx(2 / 4)
    assert scores["gold"] == 4
    assert scores["per_pair"]["PROBLEM-NEGATION"] == pytest.approx(
        {"p": 1.0, "r": 0.5, "f": 2 / 3, "gold": 2}
    )
    assert scores["per_pair"]["PROBLEM-SEVERITY"]["p"] == 0.5


def test_links_of_labels_that_nobody_looked_for_are_no_false_alarms(nlp):
    gold = make_doc(nlp, [(COUGH, SEVERE)])
    for layer, labels in {"clinical": ["PROBLEM"], "modifiers": ["SEVERITY"]}.items():
        gold.spans[layer] = [s for s in gold.spans[layer] if s.label_ in labels]
        gold.spans[layer].attrs[LABELS] = labels
    # One that annotators looked for, and two of which an end has a label that they did not.
    predicted = make_doc(nlp, [(COUGH, SEVERE), (FEVER, SEVERE), (FEVER, NO), (ASPIRIN, DAILY)])
    example = Example(predicted, gold)
    assert relations(nlp, [example])["end_to_end"]["p"] == pytest.approx(1 / 2)
    assert score_relations([example])["rel_micro_p"] == pytest.approx(1 / 2)
    counts = note_counts([example], ["clinical", "modifiers"])
    assert counts["relations", "end_to_end"].tolist() == [[1, 2, 1]]
    assert [o.kind for o in compare_links(example)] == [FALSE_ALARM, CORRECT]
    # A layer that is annotated whole says of all its labels what is not there.
    del gold.spans["clinical"].attrs[LABELS], gold.spans["modifiers"].attrs[LABELS]
    assert len(compare_links(example)) == 4


def test_links_on_gold_spans_do_not_depend_on_the_predicted_spans(nlp):
    gold = make_doc(nlp, GOLD)
    bare = nlp.make_doc(TEXT)
    full = make_doc(nlp, [])
    found = [relations(nlp, [Example(doc, gold)])["gold_spans"] for doc in (bare, full)]
    assert found[0] == found[1]
    assert found[0]["gold"] == 4


def test_a_corpus_without_relations_has_no_table(nlp):
    doc = nlp.make_doc(TEXT)
    assert relations(nlp, [Example(nlp.make_doc(TEXT), doc)]) == {}


def test_a_pipeline_without_relations_is_reported(nlp):
    example = Example(make_doc(nlp, []), make_doc(nlp, GOLD))
    with pytest.raises(ClinnerError, match="no clinner_relations"):
        relations(English(), [example])


def test_every_link_is_judged_once(nlp):
    wide = (0, 2, "PROBLEM")
    predicted = make_doc(nlp, [(wide, NO), (COUGH, SEVERE), (FEVER, SEVERE)])
    outcomes = compare_links(Example(predicted, make_doc(nlp, GOLD)))
    assert [(o.kind, o.pair) for o in outcomes] == [
        (BOUNDARIES, "PROBLEM-NEGATION"),
        (MISS, "PROBLEM-NEGATION"),
        (FALSE_ALARM, "PROBLEM-SEVERITY"),
        (CORRECT, "PROBLEM-SEVERITY"),
        (MISS, "DRUG-FREQUENCY"),
    ]
    assert outcomes[0].entity == (0, 8)
    assert outcomes[0].modifier == (0, 2)
