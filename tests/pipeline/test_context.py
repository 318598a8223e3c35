import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.util import filter_spans

from spacy_clinner.annotation import said
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.context.lexicon import load_lexicon

CASES = Path(__file__).parent / "cases"
TAG = re.compile(r"<ent([^>]*)>(.*?)</ent>")
VALUE = re.compile(r'(\w+)(?:="([^"]*)")?')
FLAGS = ("negated", "uncertain", "hypothetical", "historical")


def read_cases(name: str) -> list[pytest.param]:
    cases = []
    phenomenon = ""
    for line in (CASES / name).read_text(encoding="utf8").splitlines():
        if line.startswith("== "):
            phenomenon = line[3:]
        elif line and not line.startswith("#"):
            cases.append(pytest.param(line.replace("⏎", "\n"), id=f"{phenomenon}: {line[:90]}"))
    return cases


def parse(nlp: Language, marked: str) -> tuple[Doc, list[dict[str, str]]]:
    spans, expected, text, last = [], [], "", 0
    for match in TAG.finditer(marked):
        text += marked[last : match.start()]
        spans.append((len(text), len(text) + len(match[2])))
        expected.append(dict(VALUE.findall(match[1])))
        text += match[2]
        last = match.end()
    doc = nlp.make_doc(text + marked[last:])
    ents = [doc.char_span(start, end, "PROBLEM") for start, end in spans]
    assert None not in ents, "a case cuts a token"
    doc.set_ents(ents)
    return doc, expected


def run(nlp: Language, doc: Doc) -> Doc:
    for _, component in nlp.pipeline:
        doc = component(doc)
    return doc


def with_entities(nlp: Language, text: str, *entities: str) -> Doc:
    doc = nlp.make_doc(text)
    spans = [m.span() for entity in entities for m in re.finditer(re.escape(entity), text)]
    ents = [doc.char_span(start, end, "PROBLEM") for start, end in spans]
    doc.set_ents(filter_spans([ent for ent in ents if ent is not None]))
    return run(nlp, doc)


@pytest.fixture(scope="module", params=["clinner.Tokenizer.v1", "spacy.Tokenizer.v1"])
def pipeline(request: pytest.FixtureRequest) -> Language:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": request.param}}})
    for name in ("clinner_sentences", "clinner_sections", "clinner_context"):
        nlp.add_pipe(name)
    return nlp


@pytest.fixture(scope="module")
def rules() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context")
    return nlp


@pytest.mark.parametrize("marked", read_cases("negation.txt") + read_cases("assertion.txt"))
def test_the_rules_judge_an_entity_as_a_clinician_reads_it(pipeline: Language, marked: str):
    doc, expected = parse(pipeline, marked)
    doc = run(pipeline, doc)
    for ent, wanted in zip(doc.ents, expected, strict=True):
        said = {flag: getattr(ent._, flag) for flag in FLAGS}
        assert said == {flag: flag in wanted for flag in FLAGS}, (ent, ent._.assertion_evidence)
        assert ent._.experiencer == wanted.get("experiencer", "patient"), ent
        if "cue" in wanted:
            assert ent._.negation_cue.text == wanted["cue"]
        if "assertion" in wanted:
            assert ent._.assertion == wanted["assertion"], ent
        assert (ent._.negation_cue is not None) == ent._.negated


def test_the_cases_are_many():
    assert len(read_cases("negation.txt") + read_cases("assertion.txt")) >= 200


def test_rules_work_over_entities_alone_without_sentences_and_sections(rules: Language):
    doc = with_entities(
        rules, "No fever\nCough since Monday. Denies chills", "fever", "Cough", "chills"
    )
    assert [ent._.negated for ent in doc.ents] == [True, False, True]
    assert doc.ents[0]._.negation_cue.text == "No"
    assert doc.ents[0]._.assertion_evidence == ("rule:neg_no",)


def test_given_sentence_boundaries_end_a_scope(rules: Language):
    doc = rules.make_doc("No fever cough")
    doc.set_ents([Span(doc, 1, 2, "PROBLEM"), Span(doc, 2, 3, "PROBLEM")])
    for token in doc:
        token.is_sent_start = token.i in (0, 2)
    assert [ent._.negated for ent in run(rules, doc).ents] == [True, False]


def test_span_groups_get_attributes_too_and_overlapping_spans_each_their_own(rules: Language):
    doc = rules.make_doc("no chest pain")
    doc.spans["clinical"] = [Span(doc, 1, 3, "PROBLEM", span_id="clinical")]
    doc.spans["umls"] = [Span(doc, 1, 3, "T033"), Span(doc, 1, 2, "T017")]
    doc.spans["mine"] = [Span(doc, 2, 3, "X")]
    doc.spans["modifiers"] = [Span(doc, 0, 1, "NEGATION")]
    doc = run(rules, doc)
    assert doc.spans["clinical"][0]._.negated
    assert all(span._.negated for span in doc.spans["umls"])
    assert doc.spans["mine"][0]._.negated
    assert doc.spans["modifiers"][0]._.negated is None


def test_modifiers_are_not_judged_where_they_fill_the_entities(rules: Language):
    doc = rules.make_doc("Denies chest pain")
    pain = Span(doc, 1, 3, "PROBLEM", span_id="clinical")
    doc.set_ents([pain, Span(doc, 0, 1, "NEGATION", span_id="modifiers")])
    assert [ent._.negated for ent in run(rules, doc).ents] == [None, True]


def test_span_keys_name_the_groups_that_get_attributes():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context", config={"span_keys": ["mine"]})
    doc = nlp.make_doc("no pain")
    doc.spans["mine"] = [Span(doc, 1, 2, "X")]
    doc.set_ents([Span(doc, 1, 2, "Y")])
    doc = run(nlp, doc)
    assert doc.spans["mine"][0]._.negated
    assert not doc.ents[0]._.negated


def test_running_again_gives_the_same_and_keeps_nothing_stale(rules: Language):
    doc = with_entities(rules, "No fever.", "fever")
    doc.ents[0]._.uncertain = True
    doc = run(rules, doc)
    assert doc.ents[0]._.negated
    assert not doc.ents[0]._.uncertain


def test_a_test_that_is_negative_was_done(rules: Language):
    doc = rules.make_doc("Blood cultures were negative.")
    doc.spans["clinical"] = [Span(doc, 0, 2, "TEST", span_id="clinical")]
    assert not run(rules, doc).spans["clinical"][0]._.negated
    doc.spans["clinical"] = [Span(doc, 0, 2, "PROBLEM", span_id="clinical")]
    assert run(rules, doc).spans["clinical"][0]._.negated


def test_a_user_adds_cues_by_config():
    cues = {
        "my_cue": {
            "category": "negated",
            "direction": "backward",
            "patterns": ["(is|was) history"],
        },
        "neg_no": {"patterns": ["nada de"]},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context", config={"cues": cues})
    doc = with_entities(nlp, "Fever is history. Nada de cough. No rash.", "Fever", "cough", "rash")
    assert [ent._.negated for ent in doc.ents] == [True, True, True]
    assert doc.ents[0]._.assertion_evidence == ("rule:my_cue",)


def test_a_user_takes_cues_away_by_config():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context", config={"disable": ["neg_denies"]})
    doc = with_entities(nlp, "Denies fever. No cough.", "fever", "cough")
    assert [ent._.negated for ent in doc.ents] == [False, True]


def test_added_cues_survive_disk_bytes_and_pickle(tmp_path: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context").add_cue("zero", category="negated", patterns=["zero"])
    nlp.to_disk(tmp_path)
    copies = [
        spacy.load(tmp_path),
        pickle.loads(pickle.dumps(nlp)),
        spacy.util.load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes()),
    ]
    for copy in copies:
        assert with_entities(copy, "zero fever", "fever").ents[0]._.negated


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"cues": {"x": {"category": "negative", "patterns": ["x"]}}}, "'negative' is not one of"),
        ({"cues": {"x": {"category": "negated"}}}, "at least one pattern"),
        ({"cues": {"x": {"category": "negated", "patterns": ["a (b"]}}}, "bracket"),
        ({"cues": {"x": {"category": "negated", "patterns": ["{y}"]}}}, "unknown group 'y'"),
        ({"cues": {"x": {"category": "negated", "patterns": ["a"], "window": -1}}}, "window"),
        (
            {"cues": {"x": {"category": "negated", "patterns": ["a"], "scope": 1}}},
            "unknown key 'scope'",
        ),
        ({"disable": ["nope"]}, "no cue has the id 'nope'"),
        ({"combine": "both"}, "combine must be one of"),
        ({"sections": {"plan": "planned"}}, "not one of"),
    ],
)
def test_a_setting_that_is_not_right_says_what_to_change(config: dict, message: str):
    with pytest.raises(ClinnerError, match=re.escape(message)):
        spacy.blank("en").add_pipe("clinner_context", config=config)


def test_an_error_in_an_added_cue_changes_nothing():
    component = spacy.blank("en").add_pipe("clinner_context")
    with pytest.raises(ClinnerError):
        component.add_cue("x", category="negated", patterns=["(a"])
    assert component.cues == {}


def test_every_cue_has_a_pattern_and_none_stands_for_too_much():
    lexicon = load_lexicon()
    assert all(cue.phrases for cue in lexicon.cues.values())
    assert {"negated", "uncertain", "hypothetical", "conditional", "historical"} <= {
        category for cue in lexicon.cues.values() for category in cue.categories
    }


def test_values_survive_docbin_and_two_processes():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_sections")
    nlp.add_pipe("clinner_context").add_cue("zero", category="negated", patterns=["zero"])
    texts = ["No fever.", "zero fever", "PLAN: fever watch", "", "  \n"]
    docs = list(nlp.pipe(texts, n_process=2, batch_size=2))
    data = DocBin(docs=docs, store_user_data=True).to_bytes()
    for found in (docs, list(DocBin().from_bytes(data).get_docs(nlp.vocab))):
        assert [ent._.negated for doc in found for ent in doc.ents] == [True, True, False]
        assert found[2].ents[0]._.section == "plan"


def test_the_metadata_tells_spacy_what_is_needed_and_set():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler")
    for name in ("clinner_sentences", "clinner_sections", "clinner_context"):
        nlp.add_pipe(name)
    assert not any(nlp.analyze_pipes()["problems"].values())
    assert "span._.negated" in nlp.get_pipe_meta("clinner_context").assigns


def test_span_groups_are_enough_for_it_and_the_analysis_of_the_pipeline_says_so():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "mine"})
    ruler.add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    nlp.add_pipe("clinner_context")
    assert nlp.analyze_pipes()["problems"] == {"span_ruler": [], "clinner_context": []}
    doc = nlp("No fever.")
    assert doc.spans["mine"][0]._.negated


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "no",
                "fever",
                "denies",
                ",",
                "or",
                "\n",
                "ruled out",
                "not",
                "possible",
                ":",
                "PLAN:",
                "negative",
                "if",
                "mother",
                "history of",
                ".",
                " ",
                "(",
                ")",
                "-",
                "🙂",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ]
        ),
        max_size=30,
    ),
    st.data(),
)
def test_no_text_and_no_spans_raise(pipeline: Language, words: list[str], data: st.DataObject):
    doc = pipeline.make_doc(" ".join(words))
    spans = []
    for _ in range(data.draw(st.integers(0, 4)) if len(doc) else 0):
        start = data.draw(st.integers(0, len(doc) - 1))
        spans.append(Span(doc, start, data.draw(st.integers(start + 1, len(doc))), "PROBLEM"))
    doc.spans["clinical"] = spans
    doc.set_ents(filter_spans(spans))
    for span in run(pipeline, doc).spans["clinical"]:
        assert span._.assertion in said.ASSERTIONS
        assert (span._.negation_cue is not None) == span._.negated


@settings(max_examples=25)
@given(st.text(max_size=200))
def test_any_text_passes_the_three_components(pipeline: Language, text: str):
    doc = pipeline.make_doc(text)
    doc.set_ents(filter_spans([Span(doc, i, i + 1, "X") for i in range(len(doc))]))
    run(pipeline, doc)


def linked(nlp: Language, text: str, entity: str, *modifiers: tuple[str, str]) -> Span:
    doc = nlp.make_doc(text)
    start = text.index(entity)
    ent = doc.char_span(start, start + len(entity), "PROBLEM", span_id="clinical")
    doc.spans["clinical"] = [ent]
    doc.set_ents([ent])
    found = [
        doc.char_span(text.index(words), text.index(words) + len(words), label)
        for label, words in modifiers
    ]
    said.set_relations(doc, [(ent, modifier, 0.9) for modifier in found])
    said.set_modifiers(ent, [(m.label_, m, 0.9) for m in found])
    return run(nlp, doc).ents[0]


def combining(how: str) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context", config={"combine": how})
    return nlp


@pytest.mark.parametrize(
    ("how", "by_rule", "by_modifier", "by_both"),
    [
        ("rules", True, False, True),
        ("relations", False, True, True),
        ("either", True, True, True),
        ("relations_first", True, True, True),
    ],
)
def test_rules_and_linked_modifiers_are_combined_as_asked(
    how: str, by_rule: bool, by_modifier: bool, by_both: bool
):
    nlp = combining(how)
    assert linked(nlp, "no fever", "fever")._.negated is by_rule
    modified = linked(nlp, "sine fever", "fever", ("NEGATION", "sine"))
    assert modified._.negated is by_modifier
    assert linked(nlp, "no fever", "fever", ("NEGATION", "no"))._.negated is by_both


def test_a_linked_modifier_is_the_cue_and_the_evidence():
    ent = linked(combining("relations"), "zero fever", "fever", ("NEGATION", "zero"))
    assert ent._.negation_cue.text == "zero"
    assert ent._.assertion_evidence == ("modifier:NEGATION",)


def test_relations_first_lets_modifiers_overrule_rules():
    ent = linked(combining("relations_first"), "no likely fever", "fever", ("UNCERTAIN", "likely"))
    assert (ent._.negated, ent._.uncertain, ent._.assertion) == (False, True, "possible")


@pytest.mark.parametrize(
    ("label", "words", "attribute", "value"),
    [
        ("SUBJECT", "father", "experiencer", "family"),
        ("SUBJECT", "landlady", "experiencer", "other"),
        ("TEMPORAL", "two years ago", "historical", True),
        ("TEMPORAL", "today", "historical", False),
        ("CONDITION", "if", "assertion", "hypothetical"),
        ("CONDITION", "on exertion", "assertion", "conditional"),
        ("UNCERTAIN", "thinks", "assertion", "possible"),
    ],
)
def test_the_words_of_a_linked_modifier_decide_what_it_means(
    label: str, words: str, attribute: str, value: object
):
    ent = linked(combining("relations"), f"fever {words}", "fever", (label, words))
    assert getattr(ent._, attribute) == value


def test_without_relations_the_rules_decide_whatever_combine_says():
    doc = with_entities(combining("relations"), "no fever", "fever")
    assert doc.ents[0]._.negated


def test_spans_that_relations_do_not_judge_go_by_the_rules():
    nlp = combining("relations")
    doc = nlp.make_doc("no fever")
    said.set_relations(doc, [])
    doc.set_ents([Span(doc, 1, 2, "DISEASE")])
    assert run(nlp, doc).ents[0]._.negated


@pytest.mark.parametrize(
    ("text", "entity", "label", "negated"),
    [
        ("Hold warfarin tonight.", "warfarin", "DRUG", True),
        ("- stop NS, trial furosemide", "NS", "DRUG", True),
        ("Ran out of nadolol and lactulose a month ago.", "lactulose", "DRUG", True),
        ("ramipril withheld, paracetamol 1 g QDS", "ramipril", "DRUG", True),
        ("ramipril withheld, paracetamol 1 g QDS", "paracetamol", "DRUG", False),
        ("Clopidogrel held 5 days", "Clopidogrel", "DRUG", True),
        ("propranolol 20 q6, hold for MAP <60", "MAP", "TEST", False),
        ("Do not stop prednisone.", "prednisone", "DRUG", False),
        ("Missed dialysis", "dialysis", "TREATMENT", True),
        ("Stop the pain", "pain", "PROBLEM", False),
        ("The hemoglobin declined to 9.3", "hemoglobin", "TEST", False),
        ("d/c home on cefpodoxime", "cefpodoxime", "DRUG", False),
    ],
)
def test_an_order_to_hold_or_stop_negates_what_is_given_and_no_finding(
    rules: Language, text: str, entity: str, label: str, negated: bool
):
    doc = rules.make_doc(text)
    start = text.index(entity)
    doc.spans["clinical"] = [doc.char_span(start, start + len(entity), label=label)]
    for _, component in rules.pipeline:
        doc = component(doc)
    assert doc.spans["clinical"][0]._.negated is negated


def test_what_decided_is_told_in_the_same_order_in_every_process():
    told = (
        "import spacy; from spacy.tokens import Span; nlp = spacy.blank('en')\n"
        "nlp.add_pipe('clinner_sentences'); nlp.add_pipe('clinner_context')\n"
        "doc = nlp.make_doc('Stopped: Foley removed.')\n"
        "doc.ents = [Span(doc, 2, 3, 'DRUG')]\n"
        "print([ent._.assertion_evidence for ent in nlp(doc).ents])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", told],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(found) == 1
    assert "rule:" in found.pop()


@pytest.mark.parametrize("text", ["PMH:\nasthma \n", "PMH:\n\n\n asthma\n\n"])
def test_a_span_of_white_space_at_the_end_of_a_section_is_judged(text):
    nlp = spacy.blank("en")
    for name in ("clinner_sentences", "clinner_sections", "clinner_context"):
        nlp.add_pipe(name)
    doc = nlp.make_doc(text)
    doc.spans["clinical"] = [Span(doc, len(doc) - 1, len(doc), "PROBLEM")]
    assert nlp(doc).spans["clinical"][0]._.negated is False


@pytest.mark.parametrize("blank", ["\u00a0", "\u2009", "\u3000"])
def test_a_blank_of_another_kind_parts_no_columns(pipeline: Language, blank: str):
    doc = pipeline.make_doc("Denies fever, neg rash".replace(" ", blank))
    doc.spans["x"] = [doc.char_span(7, 12, "PROBLEM"), doc.char_span(18, 22, "PROBLEM")]
    doc.set_ents([])
    assert [span._.negated for span in run(pipeline, doc).spans["x"]] == [True, True]


def test_spans_of_one_layer_hide_no_cue_of_another(pipeline: Language):
    doc = pipeline.make_doc("Oxycodone 5 mg q4h prn pain.")
    doc.spans["clinical"] = [doc.char_span(23, 27, "PROBLEM", span_id="clinical")]
    doc.spans["maccrobat"] = [doc.char_span(10, 22, "Dosage", span_id="maccrobat")]
    doc.set_ents([])
    assert run(pipeline, doc).spans["clinical"][0]._.assertion == "hypothetical"


def test_nothing_is_said_of_white_space(pipeline: Language):
    doc = pipeline.make_doc("no \n fever")
    blank = next(token.i for token in doc if token.is_space)
    doc.spans["x"] = [doc[blank : blank + 1], doc[len(doc) - 1 :]]
    doc.set_ents([])
    white, _ = run(pipeline, doc).spans["x"]
    assert (white._.assertion, white._.negation_cue) == ("present", None)
    assert white._.negated is False
