import random
import re

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.moving import Edit, rewritten
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.augmenter import (
    Rates,
    choose_edits,
    create_clinical_augmenter,
    rewrite,
)
from spacy_clinner.training.corpus import create_corpus

NLP = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
NONE = dict.fromkeys(Rates.__annotations__, 0.0)
PHRASES = (
    "No fever, chills or night sweats.",
    "HTN and diabetes mellitus, increased glucose",
    "Given ibuprofen 400 mg b.i.d. for 3 days",
    "s/p cholecystectomy on 3/12/2020 by Dr. Smith",
    "Patient denies shortness of breath",
    "cannot walk;BP 120/80,HR 88",
    "straße  ŉ ﬁbrosis İ",
    "[**2151-3-4**] St. Mary Hospital",
    "----- ?",
)


def note(text, *spans, layer="clinical"):
    doc = NLP(text)
    doc.spans[layer] = [
        doc.char_span(text.index(words), text.index(words) + len(words), label="PROBLEM")
        for words in spans
    ]
    return doc


def augmented(doc, seed=0, **rates):
    augment = create_clinical_augmenter(**{**NONE, "level": 1.0, "seed": seed, **rates})
    (example,) = augment(NLP, Example(NLP.make_doc(doc.text), doc))
    assert example.predicted.text == example.reference.text
    assert [t.text for t in example.predicted] == [t.text for t in example.reference]
    return example.reference


def words(doc, layer="clinical"):
    return [span.text for span in doc.spans[layer]]


@st.composite
def notes(draw):
    """A note with entities, nested modifiers, links, a code, a group's attribute and user data."""
    pieces = draw(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=5))
    breaks = draw(st.lists(st.sampled_from([" ", "\n", "\n\n", "\n- "]), min_size=5, max_size=5))
    doc = NLP("".join(a for pair in zip(pieces, breaks, strict=False) for a in pair))
    tokens = [token.i for token in doc if not token.is_space]
    places = st.lists(st.sampled_from(tokens), min_size=2, max_size=12, unique=True)
    for layer in draw(st.sampled_from([("clinical",), ("clinical", "modifiers")])):
        edges = sorted(draw(places))
        pairs = [(a, b + 1) for a, b in zip(edges[::2], edges[1::2], strict=False)]
        spans = [Span(doc, a, b, label=layer.upper(), span_id=layer) for a, b in pairs]
        doc.spans[layer] = SpanGroup(doc, name=layer, attrs={"labels": [layer]}, spans=spans)
    heads = doc.spans["clinical"]
    doc.set_ents(list(heads))
    doc.user_data["note_id"] = "n1"
    doc.user_data["._.", "seen_by", heads[0].start_char, heads[0].end_char] = "reader"
    store.set_values(heads[-1], codes=["C001"], negated=False)
    if "modifiers" in doc.spans:
        tail = doc.spans["modifiers"][0]
        said.set_relations(doc, [(heads[0], tail, None)])
        said.set_modifiers(heads[0], [("M", tail, None)])
        said.set_sections(doc, [("plan", heads[0], doc[heads[0].start :])])
    return doc


def letters(edits):
    """Edits, those that leave each letter in its place cut into these."""
    for edit in edits:
        if len(edit.new) == edit.end - edit.start:
            yield from (Edit(edit.start + i, edit.start + i + 1, c) for i, c in enumerate(edit.new))
        else:
            yield edit


def rates(share):
    return st.builds(Rates, **dict.fromkeys(NONE, share))


@settings(deadline=None)
@given(doc=notes(), rates=rates(st.sampled_from([0.0, 0.3, 1.0])), seed=st.integers(0, 999))
def test_every_span_is_its_old_text_with_the_edits_that_were_made(doc, rates, seed):
    new, edits = rewrite(NLP, doc, choose_edits(doc, rates, random.Random(seed)))
    if new is None:
        return
    assert new.text == rewritten(doc.text, edits)

    def expected(span):
        start, end = span.start_char, span.end_char
        inside = [e for e in letters(edits) if e.start < end and start < e.end]
        assert all(start <= e.start and e.end <= end for e in inside)
        moved = [Edit(e.start - start, e.end - start, e.new) for e in inside]
        return rewritten(span.text, moved), span.label_, span.id_

    assert list(new.spans) == list(doc.spans)
    for layer, group in doc.spans.items():
        found = [(span.text, span.label_, span.id_) for span in new.spans[layer]]
        assert found == [expected(span) for span in group]
        assert all(text == text.strip() != "" for text, _, _ in found)
        assert new.spans[layer].attrs == group.attrs
    assert [ent.text for ent in new.ents] == words(new)
    first, last = new.spans["clinical"][0], new.spans["clinical"][-1]
    assert new.user_data["note_id"] == "n1"
    assert new.user_data["._.", "seen_by", first.start_char, first.end_char] == "reader"
    assert store.values(last)["codes"] == ["C001"]
    for old, now in zip(said.get_relations(doc), said.get_relations(new), strict=True):
        for end, moved in zip(old[:2], now[:2], strict=True):
            assert (moved.text, moved.label_) == expected(end)[:2]
    if "modifiers" in doc.spans:
        assert said.get_modifiers(first)[0].span.text == words(new, "modifiers")[0]
        (section,) = said.get_sections(new)
        assert section.header.text == first.text


@settings(deadline=None)
@given(doc=notes(), seed=st.integers(0, 999))
def test_what_is_unknown_of_entities_stays_so(doc, seed):
    bare = Doc(NLP.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])
    assert not augmented(bare, seed, lower=1.0).has_annotation("ENT_IOB")
    bare.set_ents([], missing=[bare[0:1]])
    assert augmented(bare, seed, lower=1.0)[0].ent_iob == 0


def test_a_level_of_zero_yields_the_example_itself():
    doc = note("No fever", "fever")
    example = Example(NLP.make_doc(doc.text), doc)
    assert next(create_clinical_augmenter(level=0.0, upper=1.0)(NLP, example)) is example


def test_a_document_with_sentences_stays_as_it_is():
    doc = note("No fever. No cough.", "fever")
    doc[4].is_sent_start = True
    assert augmented(doc, upper=1.0) is doc


@pytest.mark.parametrize(
    ("rates", "text", "new"),
    [
        ({"upper": 1.0}, "No fever", "NO FEVER"),
        ({"lower": 1.0}, "No Fever", "no fever"),
        ({"line_breaks": 1.0}, "HPI:\n\n  fever\r\nPlan", "HPI: fever Plan"),
        ({"abbreviations": 1.0}, "C/o HTN", "complains of hypertension"),
        ({"masks": 1.0}, "Seen 3/12/2020, BP 120/80, 5/5", "Seen #, BP 120/80, 5/5"),
        ({"masks": 1.0}, "by Dr. Smith at Mercy Hospital", "by Dr. # at #"),
    ],
)
def test_each_rate_does_what_its_name_says(rates, text, new):
    pattern = re.escape(new).replace(r"\#", r"\S.*?")
    assert re.fullmatch(pattern, augmented(NLP(text), **rates).text)


def test_long_forms_become_short_and_cues_signs():
    doc = note("Patient denies shortness of breath", "denies", "shortness of breath")
    found = [augmented(doc, seed, abbreviations=1.0).text for seed in range(30)]
    assert {text.split()[0] for text in found} == {"Pt", "PT"}
    assert {text.split()[-1].lower() for text in found} == {"sob"}
    assert any("Ø" in text for text in found)


def test_punctuation_is_lost_but_not_inside_numbers():
    texts = {augmented(NLP("T 38.5, no fever, chills."), s, punctuation=1.0).text for s in range(9)}
    assert "T 38.5 no fever chills" in texts
    assert all("38.5" in text for text in texts)


def test_blanks_are_lost_and_doubled():
    doc = note("fever, chills, given 10 mg", "chills")
    texts = {augmented(doc, seed, spacing=1.0).text for seed in range(40)}
    assert any("fever,chills" in text for text in texts)
    assert any("10mg" in text for text in texts)


def test_a_typing_error_changes_a_letter_or_two_and_no_number_or_short_form():
    doc = NLP("CHEST 38.5 b.i.d. tachycardia")
    texts = {augmented(doc, seed, typos=1.0).text for seed in range(40)}
    assert all(text.startswith("CHEST 38.5 b.i.d. t") for text in texts)
    assert len(texts) > 10


def test_a_drug_becomes_the_same_other_drug_all_over_a_note():
    doc = note("Ibuprofen stopped, IBUPROFEN restarted", "Ibuprofen", "IBUPROFEN")
    first, second = words(augmented(doc, drugs=1.0))
    assert first.lower() != "ibuprofen"
    assert second == first.upper()


def test_a_drug_with_a_code_keeps_its_name():
    doc = note("ibuprofen given", "ibuprofen")
    store.set_values(doc.spans["clinical"][0], codes=["5640"])
    assert augmented(doc, drugs=1.0) is doc


def test_a_long_form_that_a_modifier_is_part_of_stays():
    doc = note("low back pain", "back")
    assert augmented(doc, abbreviations=1.0) is doc


def test_what_would_merge_the_edge_of_a_span_into_a_token_is_taken_back():
    doc = note("cannot walk", "not")
    assert augmented(doc, upper=1.0).text == "cannot WALK"
    assert words(augmented(doc, upper=1.0)) == ["not"]


def test_what_is_said_of_two_spans_that_end_up_in_one_place_is_kept_of_both():
    doc = NLP.make_doc("Takes aspirin.")
    drug = Span(doc, 1, 2, label="DRUG", span_id="clinical")
    mine = Span(doc, 1, 3, label="DRUG", span_id="mine")
    doc.spans["clinical"], doc.spans["mine"] = [drug], [mine]
    store.set_values(drug, confidence=0.9, negated=True)
    store.set_values(mine, layer="mine")
    new, _ = rewrite(NLP, doc, [Edit(13, 14, "")])
    assert new.text == "Takes aspirin"
    (drug,), (mine,) = new.spans["clinical"], new.spans["mine"]
    assert store.values(drug) == {"confidence": 0.9, "negated": True}
    assert store.values(mine) == {"layer": "mine"}


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ClinnerError, match=r"typos must be a share from 0 to 1, not 2"):
        create_clinical_augmenter(typos=2)


def test_the_reader_augments_anew_in_each_pass_and_a_new_one_the_same(tmp_path):
    docs = [note(f"No fever on day {n}, given ibuprofen", "fever") for n in range(20)]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "a.spacy")
    config = {"@augmenters": "clinner.clinical_augmenter.v1", "level": 1.0, "seed": 3}

    def read():
        augment = spacy.registry.resolve({"a": config})["a"]
        reader = create_corpus(tmp_path / "a.spacy", augmenter=augment)
        return [[example.reference.text for example in reader(NLP)] for _ in range(2)]

    passes = read()
    assert passes[0] != passes[1]
    assert read() == passes
