import pickle
import re
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.util import filter_spans

from clinner.errors import ClinnerError
from clinner.pipeline import attributes
from clinner.pipeline.context.lexicon import load_lexicon

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
