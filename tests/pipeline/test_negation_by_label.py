"""Negation of what is given, done or measured beside findings: short texts of our own.

`<cough:P->` is a negated PROBLEM, `<PEF:E+>` a TEST that is not; T is a TREATMENT, D a DRUG.
"""

import re

import pytest
from spacy.language import Language

MARKED = re.compile(r"<([^<>\n]*?):([PTDE])([+-])>")
LABELS = {"P": "PROBLEM", "T": "TREATMENT", "D": "DRUG", "E": "TEST"}


def check(nlp: Language, marked: str) -> None:
    text, last, spans = "", 0, []
    for match in MARKED.finditer(marked):
        text += marked[last : match.start()]
        spans.append((len(text), len(text) + len(match[1]), LABELS[match[2]], match[3] == "-"))
        text += match[1]
        last = match.end()
    doc = nlp.make_doc(text + marked[last:])
    doc.spans["clinical"] = [
        doc.char_span(start, end, label, alignment_mode="expand", span_id="clinical")
        for start, end, label, _ in spans
    ]
    for _, component in nlp.pipeline:
        doc = component(doc)
    said = [(span.text, span._.negated) for span in doc.spans["clinical"]]
    assert said == [(text[start:end], negated) for start, end, _, negated in spans]


@pytest.mark.parametrize(
    "marked",
    [
        "no <wheeze:P->, <PEF:E+> 380, <sats:E+> 97 on air",
        "denies <palpitations:P->, <HR:E+> 88 <BP:E+> 131/70",
        "no <stool:P-> x 3 d - <lactulose:D+> 20 ml given",
        "no <stridor:P-> <headache:P+> 6/10",
        "no <clubbing:P->, <2+ oedema:P+> to the shins",
        "no <bleeding:P->, uvula swollen, <exudate:P+> both sides",
        "no <amoxicillin:D-> (<hives:P+>)",
        "no <ibuprofen:D-> with <CKD:P+>",
        "no <blood transfusion:T-> unless <bleeding:P+>",
        "no <heavy lifting:T->, call if <fever:P+> or <pus:P+>",
        "no <travel:P->, <rash:P-> or <antibiotics:D->",
        "No recent <operation:T->, <stroke:P->, <anticoagulants:D->.",
        "itch | no <rash:P-> | <dry skin:P+> on both hands",
    ],
)
def test_a_list_of_what_is_absent_ends_where_another_statement_starts(nlp: Language, marked: str):
    check(nlp, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "avoid <codeine:D-> and <tramadol:D->",
        "<Spironolactone:D-> 25 daily, HOLD until Tuesday",
        "<bicarbonate:D-> 650 TID, stop when level normal",
        "HELD: <ramipril:D->, <apixaban:D->.",
        "<milrinone:D-> off since 0500, <epinephrine:D+> at 0.04",
        "<zoster vaccine:D->, declined",
        "<INFUSION:T-> STOPPED 1410, <SALINE:D+> STARTED",
        "<amio:D->/<dilt:D->/<esmolol:D-> off",
        "<urinary catheter:T-> out today",
        "lip swelling, <PICC:T-> pulled Monday",
        "out of <lisinopril:D-> for two weeks",
        "<MRI:E-> not now",
        "<bridging:T-> not advised",
        "never on <methotrexate:D->",
        "hold <warfarin:D-> (<INR:E+> 5.2), continue <bisoprolol:D+>",
        "hold <enalapril:D-> if <potassium:E+> high",
        "Estradiol: <estradiol patch:D-> contraindicated",
        "The <sodium:E+> declined to 128",
    ],
)
def test_what_is_held_stopped_taken_out_or_declined_is_not_given(nlp: Language, marked: str):
    check(nlp, marked)


@pytest.mark.parametrize("marked", ["avoid <falls:P+>", "precautions to avoid <aspiration:P+>"])
def test_a_finding_to_be_avoided_is_hypothetical_and_not_negated(nlp: Language, marked: str):
    check(nlp, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "Prophylaxis: [x] <stockings:T+> [ ] <dalteparin:D->",
        "Access:\n[x] <port:T+>\n[ ] <PICC line:T->",
        "[ ] <cough:P->    [x] <tiredness:P+>    [ ] <rash:P->\n[x] <thirst:P+>  [ ] <itch:P->",
        "Plan\n☐ <clopidogrel:D+> 300 mg stat\n☐ <echo:E+> tomorrow",
        "[x] CT head - <small bleed:P+>",
        "+/- <cardioversion:T+> tomorrow",
        "Dizzy   Y / (N)\n<Falls:P->   Y / (N)",
        "<Spine:E+> N   <Gait:E+> N",
        "toxicology: <cocaine:E+> -, <opiates:E+> -",
        "| <egg white:E+> | 0 |\n| <soya:E+> | 0 |",
        "Hb 131, <sodium:E+> 139, <ferritin:E-> not sent",
        "[x] extra time   [x] no <gym:T->",
    ],
)
def test_boxes_signs_and_tables_answer_for_what_they_stand_beside(nlp: Language, marked: str):
    check(nlp, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "<no bowel movement:P+> for 4 days, <bloating:P+>",
        "return if <no urine:P+> for 8 hours, <vomiting:P+>",
        "call if not drinking, <fever:P+>, <drowsy:P+>",
        "no <bowel movement:P-> today",
    ],
)
def test_a_missing_function_is_a_finding_and_a_condition_negates_only_its_own(
    nlp: Language, marked: str
):
    check(nlp, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "Weight 68 kg, sleeping badly since the spring, <mild tremor:P+>, no\n<palpitations:P->",
        "Not a k/c/o <asthma:P->, <epilepsy:P->.",
        "No k/c/o <hypertension:P->, <TB:P->",
    ],
)
def test_no_at_the_end_of_a_wrapped_line_and_known_cases_reach_what_follows(
    nlp: Language, marked: str
):
    check(nlp, marked)
