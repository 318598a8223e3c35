import re

import pytest
from spacy.lang.en import English
from spacy.tokens import Span

from spacy_clinner.pipeline.relations.candidates import LegalPairs, find_candidates, located
from spacy_clinner.pipeline.relations.link_layout import not_linked

NLP = English.from_config(
    {"nlp": {"lang": "en", "tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
)
LABELS = {"N": "NEGATION", "U": "UNCERTAIN", "S": "SUBJECT", "C": "COURSE", "P": "PROBLEM"}
LEGAL = LegalPairs.of({"PROBLEM": ["NEGATION", "UNCERTAIN", "SUBJECT", "COURSE"]})
MARKED = re.compile(r"<([^<>]*?):([NUSCP])>")


def read(marked):
    text, last, places = "", 0, []
    for match in MARKED.finditer(marked):
        text += marked[last : match.start()]
        places.append((len(text), len(text) + len(match[1]), LABELS[match[2]]))
        text += match[1]
        last = match.end()
    doc = NLP.make_doc(text + marked[last:])
    spans = [doc.char_span(*place) for place in places]
    heads, tails = ([s for s in spans if (s.label_ == "PROBLEM") is is_head]
                    for is_head in (True, False))  # fmt: skip
    return doc, heads, tails


def ruled_out(*texts: str) -> list[tuple[str, str]]:
    """The pairs, entity and modifier, that the layout speaks against."""
    read_texts = [read(text) for text in texts]
    docs = [doc for doc, _, _ in read_texts]
    heads: list[list[Span]] = [heads for _, heads, _ in read_texts]
    tails: list[list[Span]] = [tails for _, _, tails in read_texts]
    found = find_candidates(docs, map(located, heads), map(located, tails), LEGAL, 40)
    none = not_linked(docs, found, LEGAL)
    return [
        (
            heads[found.heads.doc[head]][found.heads.origin[head]].text,
            tails[found.tails.doc[tail]][found.tails.origin[tail]].text,
        )
        for head, tail, out in zip(found.pairs.head, found.pairs.tail, none, strict=True)
        if out
    ]


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("<FEVER:P>: <NO:N>\n<COUGH:P>: YES", [("COUGH", "NO")]),
        ("<Dyspnea:P>? <no:N>\n<Orthopnea:P>? yes", [("Orthopnea", "no")]),
        ("- <Dyspnea:P>: <maybe:U>\n- <Cough:P>: yes", [("Cough", "maybe")]),
        ("<fever:P> | 3 d | <DENIED:N>\n<rash:P> | 1 d | YES", [("rash", "DENIED")]),
        ("<fever:P>\t<no:N>\n<rash:P>\tyes", [("rash", "no")]),
        ("<fever:P>   3 d   <DENIED:N>\n<rash:P>   1 d   YES", [("rash", "DENIED")]),
        ("<fever:P>   <DENIED:N>\n<rash:P>   YES", []),
        ("<Asthma:P>: <mother:S>\n<HTN:P>: on meds", [("HTN", "mother")]),
        ("<Asthma:P>: <stable:C>\n<HTN:P>: on meds", []),
        ("<Denies:N>:\n<fever:P>\n<cough:P>", []),
        ("<Denies:N>:\n<fever:P>: today\n<cough:P>: today", []),
        ("He came with <no:N>\n<fever:P> or <cough:P>", []),
        ("ROS: <no:N> <fever:P> or\n<cough:P> at home", []),
    ],
)
def test_what_says_whether_something_is_there_stays_in_its_row(text, none):
    assert ruled_out(text) == none


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("<Appendicitis:P> <without:N> <perforation:P>", [("Appendicitis", "without")]),
        ("<Knee effusion:P> <w/o:N> <erythema:P>", [("Knee effusion", "w/o")]),
        ("<Stones:P> <Without evidence of:N> <stasis:P>", [("Stones", "Without evidence of")]),
        ("<CP:P> <no:N>, SOB yes", []),
        ("<fever:P> <absent:N>", []),
        ("<fever:P> <was ruled out:N>", []),
    ],
)
def test_without_says_nothing_of_what_stands_before_it(text, none):
    assert ruled_out(text) == none


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("<AMS:P> resolved, d/c home. <Son:S> has <COVID:P>.", [("AMS", "Son")]),
        ("<AMS:P> resolved\n<Son:S> has <COVID:P>", [("AMS", "Son")]),
        ("<Mother:S> - living, 74. <T2DM:P>, <HTN:P>", []),
        ("<breast ca:P> in <mother:S>", []),
        ("<Na:P> 3.5 in <son:S>", []),
        ("<Gout:P>. <Worse:C>", []),
    ],
)
def test_whose_it_is_is_not_said_in_a_later_sentence(text, none):
    assert ruled_out(text) == none


def test_a_batch_rules_out_what_each_document_alone_does():
    texts = ["<FEVER:P>: <NO:N>\n<COUGH:P>: YES", "", "<Gout:P> <without:N> <tophi:P>", "\n"]
    assert ruled_out(*texts) == [pair for text in texts for pair in ruled_out(text)]
    assert ruled_out("none") == []
