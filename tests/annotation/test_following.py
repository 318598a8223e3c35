import json
import subprocess
import sys

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.tokens.underscore import Underscore

import spacy_clinner
from spacy_clinner.annotation import store
from spacy_clinner.errors import ClinnerError

NOTE = "HPI: Has cough. Denies rash. Has fever.\nPLAN: No fever expected."


@pytest.fixture(scope="module")
def nlp() -> Language:
    nlp = spacy.blank("en")
    patterns = [{"label": "PROBLEM", "pattern": word} for word in ("fever", "cough", "rash")]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    for name in ("clinner_sentences", "clinner_sections", "clinner_context"):
        nlp.add_pipe(name)
    return nlp


@pytest.fixture
def doc(nlp: Language) -> Doc:
    return nlp(NOTE)


def parts_of(doc: Doc) -> list[Doc]:
    return [sentence.as_doc(copy_user_data=True) for sentence in doc.sents]


def assertions(doc: Doc) -> list[str | None]:
    return [ent._.assertion for ent in doc.ents]


def test_a_sentence_taken_out_keeps_what_is_said_of_it(doc: Doc):
    parts = parts_of(doc)
    assert [value for part in parts for value in assertions(part)] == assertions(doc)
    assert parts[1].ents[0]._.negation_cue.text == "Denies"
    assert parts[1].ents[0]._.section == "history_of_present_illness"
    (section,) = parts[1]._.sections
    assert (section.title, section.header) == ("history_of_present_illness", None)
    assert section.span.text.strip() == "Denies rash."


def test_what_is_said_of_a_sentence_taken_out_is_not_said_of_its_note(nlp: Language, doc: Doc):
    before = [spacy_clinner.assertion(ent) for ent in doc.ents]
    parts = parts_of(doc)
    for part in parts:
        part.ents[0]._.assertion = "conditional"
        part._.sections = []
    context = nlp.get_pipe("clinner_context")
    assert [context(part).ents[0]._.negated for part in parts] == [False, True, False, True]
    assert [spacy_clinner.assertion(ent) for ent in doc.ents] == before
    assert len(doc._.sections) == 2


def test_a_slice_without_its_cue_is_still_negated(doc: Doc):
    rash = doc.ents[1]
    part = doc[rash.start : rash.end].as_doc(copy_user_data=True)
    said = spacy_clinner.assertion(part.ents[0])
    assert (said.negated, said.negation_cue, said.evidence) == (True, None, ("rule:neg_denies",))


def test_documents_put_together_keep_what_is_said_of_each_in_any_order(doc: Doc):
    whole = Doc.from_docs([*reversed(parts_of(doc)), doc])
    assert assertions(whole) == [*reversed(assertions(doc)), *assertions(doc)]
    assert whole._.sections[-1].title == "plan"


def test_words_that_come_to_stand_where_others_were_cut_off_are_not_judged_by_them(doc: Doc):
    other = Doc(doc.vocab, words=["Dislikes", "rash", ".", "Has", "fever", "."])
    other.set_ents([Span(other, 1, 2, label="PROBLEM"), Span(other, 4, 5, label="PROBLEM")])
    assert assertions(Doc.from_docs([parts_of(doc)[0], other])) == ["present", None, None]


def test_a_document_with_other_words_takes_over_nothing_by_its_user_data(doc: Doc):
    words = [token.text if token.text != "Denies" else "Claims" for token in doc]
    spaces = [bool(token.whitespace_) for token in doc]
    other = Doc(doc.vocab, words=words, spaces=spaces, user_data=dict(doc.user_data))
    other.set_ents([Span(other, ent.start, ent.end, label=ent.label_) for ent in doc.ents])
    assert assertions(other) == ["present", None, "present", "absent"]


@pytest.mark.parametrize("attrs", [None, ["ENT_IOB", "ENT_TYPE"]])
def test_a_document_stored_without_its_user_data_has_nothing_judged(doc: Doc, attrs):
    kept = {"attrs": attrs} if attrs else {}
    (again,) = DocBin().from_bytes(DocBin(docs=[doc], **kept).to_bytes()).get_docs(doc.vocab)
    assert assertions(again) == [None] * 4
    assert again._.sections == ()


def test_json_takes_along_what_is_asked_for(doc: Doc):
    assert assertions(Doc(doc.vocab).from_json(doc.to_json())) == [None] * 4
    plain = json.loads(json.dumps(doc.to_json(underscore=["clinner"])))
    again = Doc(doc.vocab).from_json(plain)
    assert assertions(again) == assertions(doc)
    assert again.ents[1]._.negation_cue.text == "Denies"
    assert [section.title for section in again._.sections] == [s.title for s in doc._.sections]


def test_values_come_back_from_other_processes(nlp: Language, doc: Doc):
    (again, _) = nlp.pipe([doc.text, doc.text], n_process=2, batch_size=1)
    assert assertions(again) == assertions(doc)
    assert again.ents[1]._.negation_cue.text == "Denies"


def test_a_span_with_a_new_label_keeps_its_assertion_and_loses_its_confidence(doc: Doc):
    rash = doc.ents[1]
    store.set_values(rash, confidence=0.9)
    doc.set_ents([Span(doc, rash.start, rash.end, label="FINDING")])
    assert (doc.ents[0]._.negated, doc.ents[0]._.negation_cue.text) == (True, "Denies")
    assert doc.ents[0]._.confidence is None


def test_a_span_of_another_label_over_the_same_words_is_not_judged_by_them(doc: Doc):
    rash = doc.ents[1]
    assert Span(doc, rash.start, rash.end, label="BODYLOC")._.negated is None
    assert doc[rash.start : rash.end]._.negated is True


def test_words_inside_a_merged_token_are_no_span_of_their_own(doc: Doc):
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[doc.ents[1].start - 2 : doc.ents[1].start])
    rash = doc.ents[1]
    assert (rash.text, rash._.negated, rash._.negation_cue) == ("rash", True, None)


def test_loading_spacy_with_the_package_installed_registers_nothing():
    code = (
        "import spacy; from spacy.tokens import Doc, Span; nlp = spacy.blank('en');"
        "nlp.add_pipe('sentencizer'); import spacy_clinner, spacy_clinner.view;"
        "import spacy_clinner.pipeline.context.component;"
        "assert not any(o.has_extension(n) for o in (Doc, Span)"
        " for n in ('negated', 'section', 'modifiers', 'relations', 'clinner'));"
        "nlp.add_pipe('clinner_context'); assert Span.has_extension('negated');"
        "assert not Span.has_extension('section')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_of_another_library_is_left_alone_and_a_prefix_gets_round_it():
    before = Underscore.get_state()
    Underscore.load_state(({}, {}, {}))
    try:
        Span.set_extension("section", default="theirs")
        nlp = spacy.blank("en")
        with pytest.raises(ClinnerError, match=r"Span\._\.section is registered by another"):
            nlp.add_pipe("clinner_sections")
        assert not Doc.has_extension("sections")
        nlp.add_pipe("clinner_sections", config={"prefix": "clinner_"})
        doc = nlp("PLAN: rest")
        assert doc._.clinner_sections[0].title == "plan"
        assert doc[2:3]._.section == "theirs"
    finally:
        Underscore.load_state(before)
