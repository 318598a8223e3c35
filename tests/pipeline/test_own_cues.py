"""What a cue of the lexicon can do, a user's own cue can, too."""

from typing import Any

import pytest
import spacy
from spacy.language import Language

FINDINGS = ("fever", "cough", "rash", "heparin", "warfarin")


def pipeline(*cues: tuple[str, dict[str, Any]]) -> Language:
    """The rules with more cues; cough and the like are PROBLEMs, heparin a DRUG."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    ruler = nlp.add_pipe("entity_ruler")
    for word in FINDINGS:
        label = "DRUG" if word in ("heparin", "warfarin") else "PROBLEM"
        ruler.add_patterns([{"label": label, "pattern": [{"LOWER": word}]}])
    nlp.add_pipe("clinner_sentences")
    context = nlp.add_pipe("clinner_context")
    for cue_id, entry in cues:
        context.add_cue(cue_id, **entry)
    return nlp


def negated(nlp: Language, text: str) -> dict[str, bool]:
    return {ent.text.lower(): ent._.negated for ent in nlp(text).ents}


BOXES = (
    ("my_empty", {"category": "negated", "box": "empty", "patterns": ["⬜"], "window": 2}),
    ("my_ticked", {"category": "terminator", "box": "ticked", "patterns": ["⬛"]}),
)


def test_a_box_of_your_own_negates_what_stands_beside_it():
    nlp = pipeline(*BOXES)
    assert negated(nlp, "⬜ fever  ⬛ cough") == {"fever": True, "cough": False}
    assert negated(nlp, "fever ⬜\ncough ⬛") == {"fever": True, "cough": False}


def test_an_empty_box_of_your_own_says_that_a_drug_is_not_given_where_one_is_ticked():
    entry = {**BOXES[0][1], "skips": ["Chemicals & Drugs"]}
    nlp = pipeline(("my_empty", entry), BOXES[1])
    assert negated(nlp, "⬜ heparin") == {"heparin": False}
    assert negated(nlp, "⬜ heparin  ⬛ cough") == {"heparin": True, "cough": False}


@pytest.mark.parametrize(
    ("among", "apart", "beside"), [("lines", False, True), ("line", False, False)]
)
def test_a_box_may_be_one_only_beside_its_opposite(among: str, apart: bool, beside: bool):
    nlp = pipeline(("my_empty", {**BOXES[0][1], "among": among}), BOXES[1])
    assert negated(nlp, "⬜ fever")["fever"] is apart
    assert negated(nlp, "⬜ fever\n⬛ cough")["fever"] is beside
    assert negated(nlp, "⬜ fever  ⬛ cough")["fever"] is True


def test_columns_and_ticks_may_have_names_of_your_own():
    nlp = pipeline(
        ("my_no", {"category": "negated", "place": "column", "patterns": ["nein"]}),
        ("my_yes", {"category": "terminator", "place": "column", "patterns": ["ja"]}),
        (
            "my_tick",
            {"category": "terminator", "box": "ticked", "among": "table", "patterns": ["k"]},
        ),
    )
    text = "Symptom | ja | nein\nfever | k |\ncough | | k"
    assert negated(nlp, text) == {"fever": False, "cough": True}
    assert nlp(text).ents[1]._.assertion_evidence == ("rule:my_no",)


@pytest.mark.parametrize(("condition", "fever"), [(True, False), (False, True)])
def test_a_condition_of_your_own_keeps_a_negation_to_itself(condition: bool, fever: bool):
    nlp = pipeline(
        (
            "my_if",
            {"category": "hypothetical", "condition": condition, "patterns": ["provided that"]},
        )
    )
    assert negated(nlp, "Come back provided that no rash, fever")["fever"] is fever


@pytest.mark.parametrize("heads", [True, False])
def test_an_order_of_your_own_may_head_a_list_of_drugs(heads: bool):
    entry = {"category": "negated", "window": 4, "heads": heads, "patterns": ["scrap"]}
    nlp = pipeline(("my_scrap", entry))
    text = "Scrap these home meds for now: heparin, warfarin"
    assert negated(nlp, text) == {"heparin": heads, "warfarin": heads}


def test_a_cue_of_your_own_may_ask_for_a_drug_that_takes_the_place_of_another():
    entry = {"category": "negated", "direction": "backward", "swaps": True}
    nlp = pipeline(("my_swap", {**entry, "patterns": ["traded for", "traded to"]}))
    assert negated(nlp, "heparin traded to warfarin") == {"heparin": True, "warfarin": False}
    assert negated(nlp, "heparin traded to a lower dose") == {"heparin": False}


def test_a_cue_of_your_own_may_ask_for_capitals():
    entry = {"category": "negated", "capitals": True, "patterns": ["vac"]}
    nlp = pipeline(("my_vac", entry))
    assert negated(nlp, "VAC fever") == {"fever": True}
    assert negated(nlp, "vac fever") == {"fever": False}
    assert negated(nlp, "VAC FEVER") == {"fever": False}
