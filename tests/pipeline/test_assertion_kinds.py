"""Short texts by kind of fault, each entity with what a clinician says of it.

`cases/assertion.jsonl` was written beside the rules, `cases/kinds.jsonl` with them,
`cases/layout.jsonl` for what lines, short forms, headings and forms do to them, and
`cases/reach.txt` and `cases/forms.txt` after a reading of the rules: there one line is a case, a
line break is written ⏎, and each kind holds near counter-examples, too; so does
`cases/hospital.txt`, written after a reading of notes as hospitals print them. `<cough:A>` is an
entity with its code, `<CT|X:P>` one that is no PROBLEM. A code holds alternatives separated by
"/"; the letters of one must all hold.
"""

import json
import re
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.tokens import Span
from spacy.util import filter_spans

CASES = Path(__file__).parent / "cases"
MARKED = re.compile(r"<([^<>\n]*?)(?:\|([DTX]))?:([A-Zxnmu/]+)>")
LABELS = {"D": "DRUG", "T": "TREATMENT", "X": "TEST"}
ASSERTIONS = {
    "A": "absent",
    "P": "present",
    "U": "possible",
    "H": "hypothetical",
    "C": "conditional",
}
# Where a careful clinician reads another answer.
DISPUTED = {
    "<Sepsis:U>, likely <urosepsis:U>": "sepsis is stated; only that it comes from urine is likely",
}


def read_cases(name: str) -> list[pytest.param]:
    lines = (CASES / name).read_text(encoding="utf8").split("\n")
    cases = [json.loads(line) for line in lines if line]
    return [
        pytest.param(case["text"], id=f"{case['kind']} {case['text'][:80]!r}")
        for case in cases
        if case["text"] not in DISPUTED
    ]


def holds(span: Span, letter: str) -> bool:
    said = span._
    if letter in ASSERTIONS:
        return bool(said.assertion == ASSERTIONS[letter])
    return bool(
        {
            "F": said.experiencer == "family",
            "O": said.experiencer == "other",
            "X": said.historical,
            "x": not said.historical,
            "n": said.negated,
            "m": not said.negated,
            "u": not said.uncertain,
        }[letter]
    )


def read_kinds(name: str) -> list[pytest.param]:
    blocks = (CASES / name).read_text(encoding="utf8").split("\n== ")[1:]
    lines = [block.strip("\n").split("\n") for block in blocks]
    return [
        pytest.param([line.replace("⏎", "\n") for line in cases if line], id=kind)
        for kind, *cases in lines
    ]


def misread(nlp: Language, marked: str) -> list[tuple[object, ...]]:
    """The entities of a case that are not what it says."""
    text, last, spans = "", 0, []
    for match in MARKED.finditer(marked):
        text += marked[last : match.start()]
        label = LABELS.get(match[2], "PROBLEM")
        spans.append((len(text), len(text) + len(match[1]), label, match[3]))
        text += match[1]
        last = match.end()
    doc = nlp.make_doc(text + marked[last:])
    group = [
        doc.char_span(start, end, label, alignment_mode="expand") for start, end, label, _ in spans
    ]
    doc.spans["clinical"] = group
    doc.set_ents(filter_spans(group))
    for _, component in nlp.pipeline:
        doc = component(doc)
    return [
        (marked, span.text, codes, span._.assertion, span._.assertion_evidence)
        for span, (_, _, _, codes) in zip(doc.spans["clinical"], spans, strict=True)
        if not any(all(holds(span, letter) for letter in code) for code in codes.split("/"))
    ]


CASE_LINES = [
    case for name in ("assertion", "kinds", "layout") for case in read_cases(f"{name}.jsonl")
]


@pytest.mark.parametrize("marked", CASE_LINES)
def test_an_entity_is_what_a_clinician_reads(nlp: Language, marked: str):
    assert misread(nlp, marked) == []


@pytest.mark.parametrize("cases", read_kinds("forms.txt"))
def test_a_form_says_what_is_chosen_in_it(nlp: Language, cases: list[str]):
    assert [wrong for case in cases for wrong in misread(nlp, case)] == []


@pytest.mark.parametrize("cases", read_kinds("hospital.txt"))
def test_a_note_says_what_its_hospital_means(nlp: Language, cases: list[str]):
    assert [wrong for case in cases for wrong in misread(nlp, case)] == []


@pytest.mark.parametrize("cases", read_kinds("reach.txt"))
def test_a_cue_reaches_what_it_speaks_of_and_no_more(nlp: Language, cases: list[str]):
    assert [wrong for case in cases for wrong in misread(nlp, case)] == []
