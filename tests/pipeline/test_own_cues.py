"""What a cue of the lexicon can do, a user's own cue can, too."""

from typing import Any

import pytest
import spacy
from spacy.language import Language

FINDINGS, DRUGS = ("fever", "cough", "rash"), ("heparin", "warfarin")
EMPTY: dict[str, Any] = {
    "category": "negated",
    "box": "empty",
    "window": 2,
    "skips": ["Chemicals & Drugs"],
}
TICKED: dict[str, Any] = {"category": "terminator", "box": "ticked"}
CUES: dict[str, dict[str, Any]] = {
    "my_empty": {**EMPTY, "patterns": ["⬜"]},
    "my_empty_of_lines": {**EMPTY, "among": "lines", "patterns": ["◽"]},
    "my_empty_of_line": {**EMPTY, "among": "line", "patterns": ["▫"]},
    "my_ticked": {**TICKED, "patterns": ["⬛"]},
    "my_no": {"category": "negated", "place": "column", "patterns": ["nein"]},
    "my_yes": {"category": "terminator", "place": "column", "patterns": ["ja"]},
    "my_tick": {**TICKED, "among": "table", "patterns": ["k"]},
    "my_if": {"category": "hypothetical", "condition": True, "patterns": ["provided that"]},
    "my_hint": {"category": "hypothetical", "patterns": ["assuming that"]},
    "my_scrap": {"category": "negated", "window": 4, "heads": True, "patterns": ["scrap"]},
    "my_dump": {"category": "negated", "window": 4, "patterns": ["dump"]},
    "my_swap": {
        "category": "negated",
        "direction": "backward",
        "swaps": True,
        "patterns": ["traded to"],
    },
    "my_vac": {"category": "negated", "capitals": True, "patterns": ["vac"]},
}


@pytest.fixture(scope="module")
def own() -> Language:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    ruler = nlp.add_pipe("entity_ruler")
    for label, words in (("PROBLEM", FINDINGS), ("DRUG", DRUGS)):
        ruler.add_patterns([{"label": label, "pattern": [{"LOWER": word}]} for word in words])
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_context", config={"cues": CUES})
    return nlp


def negated(nlp: Language, text: str) -> dict[str, bool]:
    return {ent.text.lower(): ent._.negated for ent in nlp(text).ents}


def test_a_box_of_your_own_negates_what_stands_beside_it(own: Language):
    assert negated(own, "⬜ fever  ⬛ cough") == {"fever": True, "cough": False}
    assert negated(own, "fever ⬜\ncough ⬛") == {"fever": True, "cough": False}


def test_an_empty_box_of_your_own_is_said_of_a_drug_where_one_is_ticked(own: Language):
    assert negated(own, "⬜ heparin") == {"heparin": False}
    assert negated(own, "⬜ heparin  ⬛ cough") == {"heparin": True, "cough": False}


@pytest.mark.parametrize(
    ("box", "apart", "beside"), [("⬜", True, True), ("◽", False, True), ("▫", False, False)]
)
def test_a_box_may_be_one_only_beside_its_opposite(
    own: Language, box: str, apart: bool, beside: bool
):
    assert negated(own, f"{box} fever")["fever"] is apart
    assert negated(own, f"{box} fever\n⬛ cough")["fever"] is beside
    assert negated(own, f"{box} fever  ⬛ cough")["fever"] is True


def test_columns_and_ticks_may_have_names_of_your_own(own: Language):
    text = "Symptom | ja | nein\nfever | k |\ncough | | k"
    assert negated(own, text) == {"fever": False, "cough": True}
    assert own(text).ents[1]._.assertion_evidence == ("rule:my_no",)


@pytest.mark.parametrize(("words", "fever"), [("provided that", False), ("assuming that", True)])
def test_a_condition_of_your_own_keeps_a_negation_to_itself(own: Language, words: str, fever: bool):
    assert negated(own, f"Come back {words} no rash, fever")["fever"] is fever


@pytest.mark.parametrize(("order", "heads"), [("Scrap", True), ("Dump", False)])
def test_an_order_of_your_own_may_head_a_list_of_drugs(own: Language, order: str, heads: bool):
    text = f"{order} these home meds for now: heparin, warfarin"
    assert negated(own, text) == {"heparin": heads, "warfarin": heads}


def test_a_cue_of_your_own_may_ask_for_a_drug_that_takes_the_place_of_another(own: Language):
    assert negated(own, "heparin traded to warfarin") == {"heparin": True, "warfarin": False}
    assert negated(own, "heparin traded to a lower dose") == {"heparin": False}


def test_a_cue_of_your_own_may_ask_for_capitals(own: Language):
    assert negated(own, "VAC fever") == {"fever": True}
    assert negated(own, "vac fever") == {"fever": False}
    assert negated(own, "VAC FEVER") == {"fever": False}
