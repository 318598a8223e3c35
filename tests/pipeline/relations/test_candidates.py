import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from spacy.lang.en import English
from spacy.tokens import Doc, Span
from test_relations import NOTES, gold_input

from spacy_clinner.pipeline.relations.candidates import LegalPairs, choose_links, find_candidates


def locate(doc, group):
    return [(span.start, span.end, span.label_) for span in doc.spans.get(group, ())]


def pairs_of(docs, legal, reach):
    heads = [locate(doc, "clinical") for doc in docs]
    tails = [locate(doc, "modifiers") for doc in docs]
    found = find_candidates(docs, heads, tails, legal, reach)
    return {
        (int(found.heads.doc[h]), int(found.heads.origin[h]), int(found.tails.origin[t]))
        for h, t in zip(found.pairs.head, found.pairs.tail, strict=True)
    }


LEGAL = LegalPairs.of({"A": ["x", "y"], "B": ["y"]})
spans_strategy = st.lists(
    st.tuples(st.integers(0, 18), st.integers(1, 6), st.sampled_from("ABxyZ")), max_size=12
)


@given(
    st.lists(st.tuples(spans_strategy, spans_strategy), min_size=1, max_size=3), st.integers(0, 9)
)
def test_the_candidates_are_all_legal_pairs_within_reach(drawn, reach):
    vocab = English().vocab
    docs, expected = [], set()
    for at, (entities, modifiers) in enumerate(drawn):
        doc = Doc(vocab, words=["a", ",", "\n", "."] * 6)
        for group, spans in (("clinical", entities), ("modifiers", modifiers)):
            doc.spans[group] = [Span(doc, s, s + n, label=label) for s, n, label in spans]
        docs.append(doc)
        legal = {("A", "x"), ("A", "y"), ("B", "y")}
        expected |= {
            (at, i, j)
            for i, head in enumerate(doc.spans["clinical"])
            for j, tail in enumerate(doc.spans["modifiers"])
            if (head.label_, tail.label_) in legal
            and max(head.start - tail.end, tail.start - head.end) <= reach
        }
    assert pairs_of(docs, LEGAL, reach) == expected


def test_no_span_is_a_candidate_for_itself():
    spans = [(0, 1, "P"), (2, 3, "M"), (3, 4, "P"), (2, 3, "P")]
    doc = Doc(English().vocab, words=["a"] * 6)
    legal = LegalPairs.of({"P": ["M", "P"]})
    found = find_candidates([doc], [spans], [spans], legal, 40)
    heads, tails = found.heads.origin[found.pairs.head], found.tails.origin[found.pairs.tail]
    expected = {(h, t) for h in (0, 2, 3) for t in range(4) if h != t}
    assert set(zip(heads.tolist(), tails.tolist(), strict=True)) == expected


def test_spans_without_a_token_are_in_no_pair():
    doc = Doc(English().vocab, words=["a"] * 4)
    doc.spans["clinical"] = [Span(doc, 4, 4, "A"), Span(doc, 1, 1, "A"), Span(doc, 0, 1, "A")]
    doc.spans["modifiers"] = [Span(doc, 4, 4, "x"), Span(doc, 2, 3, "x")]
    assert pairs_of([doc], LEGAL, 40) == {(0, 2, 1)}


def test_what_is_known_of_a_pair_does_not_depend_on_the_rest_of_the_batch():
    nlp = English()
    docs = [gold_input(nlp, note) for note in NOTES]
    legal = LegalPairs.of({"PROBLEM": ["NEGATION", "SEVERITY"], "DRUG": ["FREQUENCY"]})

    def features(docs):
        heads, tails = ([locate(d, g) for d in docs] for g in ("clinical", "modifiers"))
        return find_candidates(docs, heads, tails, legal, 40).pairs.features

    together = features(docs)
    assert np.array_equal(together, np.concatenate([features([doc]) for doc in docs]))
    assert set(np.unique(together)) == {0.0, 1.0}


def test_the_numbers_of_legal_pairs_follow_the_scheme():
    assert LEGAL.names == ("A-x", "A-y", "B-y")


def test_links_need_the_threshold_except_a_modifiers_best_which_needs_the_floor():
    modifier = np.array([0, 0, 1, 1, 2, 3, 3])
    probability = np.array([0.9, 0.6, 0.3, 0.2, 0.05, 0.4, 0.7])
    assert choose_links(modifier, probability, 0.5, 0.1).tolist() == [0, 1, 2, 6]
    assert choose_links(modifier, probability, 0.5, 0.5).tolist() == [0, 1, 6]
    assert choose_links(modifier[:0], probability[:0], 0.5, 0.1).tolist() == []
