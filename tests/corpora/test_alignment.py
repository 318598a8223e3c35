import pytest
from spacy.tokens import DocBin

from spacy_clinner import schemes
from spacy_clinner.annotation import store
from spacy_clinner.annotation.spans import annotated_labels
from spacy_clinner.corpora import alignment
from spacy_clinner.corpora.alignment import Aligner
from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.checks import SURFACE_DIFFERS
from spacy_clinner.corpora.note import Attribute, Event, Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.relations.scorer import has_relations

TEXT = "No fever or chest pain. Aspirin 81mg daily"


def span(id, label, words, text=TEXT, fragments=None):
    start = text.index(words)
    return NoteSpan(id, label, fragments or ((start, start + len(words)),))


def note(*spans, text=TEXT, **kwargs):
    return Note("n1", text, tuple(spans), source="n1.ann", **kwargs)


@pytest.fixture
def aligner(nlp):
    return Aligner(nlp, tuple(schemes.load(name) for name in ("clinical", "modifiers")))


def reasons(losses):
    return [loss.reason for loss in losses]


def test_spans_go_to_their_layers_and_the_first_layer_becomes_the_entities(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "problem", "fever"),
            span("T3", "DRUG", "Aspirin"),
        )
    )
    assert losses == []
    assert [(s.text, s.label_) for s in doc.spans["clinical"]] == [
        ("fever", "PROBLEM"),
        ("Aspirin", "DRUG"),
    ]
    assert [s.text for s in doc.spans["modifiers"]] == ["No"]
    assert [e.text for e in doc.ents] == ["fever", "Aspirin"]
    assert doc.spans["clinical"][0]._.layer == "clinical"


def test_an_annotated_layer_without_mentions_is_an_empty_group_and_entities_are_set(aligner):
    doc, _ = aligner.align(note())
    assert len(doc.spans["clinical"]) == 0
    assert doc.has_annotation("ENT_IOB")


def test_a_span_inside_a_token_is_snapped_and_reported(aligner):
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "feve")))
    assert [e.text for e in doc.ents] == ["fever"]
    assert reasons(losses) == [alignment.SNAPPED]
    assert (losses[0].start, losses[0].end, losses[0].text) == (3, 7, "feve")


def test_a_span_with_white_space_at_its_end_is_trimmed_and_reported(nlp, aligner):
    text = "fever  \n\nchills"
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "fever  \n\n", text), text=text))
    assert [e.text for e in doc.ents] == ["fever"]
    assert reasons(losses) == [alignment.TRIMMED]


def test_a_span_of_white_space_only_is_dropped_and_reported(aligner):
    text = "fever  \n\nchills"
    doc, losses = aligner.align(note(NoteSpan("T1", "PROBLEM", ((7, 8),)), text=text))
    assert doc.ents == ()
    assert reasons(losses) == [alignment.EMPTY]


def test_of_overlapping_spans_in_a_layer_the_longest_stays_and_the_other_is_reported(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "PROBLEM", "pain"),
            span("T2", "PROBLEM", "chest pain"),
            span("T3", "BODYLOC", "chest"),
        )
    )
    assert [s.text for s in doc.spans["clinical"]] == ["chest pain"]
    assert [s.text for s in doc.spans["modifiers"]] == ["chest"]
    assert reasons(losses) == [alignment.OVERLAP]


def test_the_same_span_twice_is_called_a_duplicate(aligner):
    _, losses = aligner.align(note(span("T1", "PROBLEM", "fever"), span("T2", "PROBLEM", "fever")))
    assert reasons(losses) == [alignment.DUPLICATE]


def test_a_discontinuous_span_is_flattened_and_reported(aligner):
    fragments = ((3, 8), (18, 22))
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "fever", fragments=fragments)))
    assert [e.text for e in doc.ents] == ["fever or chest pain"]
    assert reasons(losses) == [alignment.FLATTENED]


def test_what_the_reader_complained_of_is_in_the_report(aligner):
    bad = span("T1", "PROBLEM", "fever")
    problems = (
        Problem("n1.ann:3", "a line that is no annotation"),
        Problem("n1.ann:4", "odd", bad),
    )
    _, losses = aligner.align(note(bad, problems=problems))
    assert [(loss.source, loss.label) for loss in losses] == [
        ("n1.ann:3", None),
        ("n1.ann:4", "PROBLEM"),
    ]
    assert all(loss.reason.startswith("source: ") for loss in losses)


def test_an_unknown_label_stops_with_file_id_and_the_known_labels(aligner):
    with pytest.raises(ClinnerError, match=r"n1\.ann: T1 at 3-8 .*'SYMPTOM'.*PROBLEM"):
        aligner.align(note(span("T1", "SYMPTOM", "fever")))


def test_linked_negation_becomes_gold_relations_modifiers_and_the_negated_flag(aligner):
    doc, _ = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "PROBLEM", "fever"),
            span("T3", "PROBLEM", "chest pain"),
            span("T4", "DRUG", "Aspirin"),
            relations=(
                Relation("R1", "hasAttr", "T2", "T1"),
                Relation("R2", "hasAttr", "T3", "T1"),
                Relation("R3", "illegal", "T2", "T4"),
            ),
        )
    )
    assert [(r.head.text, r.tail.text) for r in doc._.relations] == [
        ("fever", "No"),
        ("chest pain", "No"),
    ]
    assert [(e.text, e._.negated) for e in doc.ents] == [
        ("fever", True),
        ("chest pain", True),
        ("Aspirin", False),
    ]
    assert [m.span.text for m in doc.ents[0]._.modifiers] == ["No"]


def test_a_polarity_attribute_on_an_event_reaches_the_span_of_its_trigger(nlp):
    aligner = Aligner(nlp, (schemes.load("maccrobat"),))
    doc, _ = aligner.align(
        note(
            span("T1", "Sign_symptom", "fever"),
            events=(Event("E1", "Sign_symptom", "T1"),),
            attributes=(Attribute("A1", "POLARITY", "E1", "NEG"),),
        )
    )
    assert doc.ents[0]._.negated


@pytest.mark.parametrize(
    ("label", "value", "negated", "uncertain"),
    [
        ("Negation", "True", True, False),
        ("Negation", None, True, False),
        ("Negated", "false", False, False),
        ("Polarity", "Negative", True, False),
        ("Polarity", "positive", False, False),
        ("Assertion", "absent", True, False),
        ("Assertion", "possible", False, True),
        ("Assertion", "present", False, False),
    ],
)
def test_what_corpora_call_negation_becomes_gold(nlp, label, value, negated, uncertain):
    aligner = Aligner(nlp, (schemes.load("ncbi"),))
    attribute = Attribute("A1", label, "T1", value)
    doc, losses = aligner.align(note(span("T1", "DISEASE", "fever"), attributes=(attribute,)))
    assert losses == []
    assert (doc.ents[0]._.negated, doc.ents[0]._.uncertain) == (negated, uncertain)


@pytest.mark.parametrize(
    ("label", "value"), [("Assertion", "chronic"), ("Trend", "INC"), ("Negation", "perhaps")]
)
def test_an_attribute_that_has_no_place_is_a_loss(nlp, label, value):
    aligner = Aligner(nlp, (schemes.load("ncbi"),))
    attribute = Attribute("A1", label, "T1", value)
    _, losses = aligner.align(note(span("T1", "DISEASE", "fever"), attributes=(attribute,)))
    assert [(loss.label, loss.reason, loss.text) for loss in losses] == [
        (label, alignment.ATTRIBUTE, "A1: T1")
    ]


@pytest.mark.parametrize(
    ("value", "negated"),
    [
        ("absent", True),
        ("possible", False),
        ("conditional", False),
        ("hypothetical", False),
        ("associated_with_someone_else", False),
    ],
)
def test_the_assertions_that_tools_offer_become_gold(aligner, value, negated):
    given = note(
        span("T1", "PROBLEM", "fever"),
        span("T2", "PROBLEM", "chest pain"),
        span("T3", "BODYLOC", "chest"),
        attributes=(Attribute("A1", "assertion", "T1", value),),
    )
    doc, losses = aligner.align(given)
    assert losses == []
    fever, pain = doc.spans["clinical"]
    # What a note asserts of some entities, it asserts of all.
    assert (fever._.assertion, pain._.assertion) == (value, "present")
    assert (fever._.negated, pain._.negated) == (negated, False)
    assert doc.spans["modifiers"][0]._.assertion is None


def test_an_entity_without_a_choice_is_asserted_as_its_links_say(aligner):
    given = note(
        span("T1", "NEGATION", "No"),
        span("T2", "PROBLEM", "fever"),
        span("T3", "PROBLEM", "chest pain"),
        relations=(Relation("R1", "hasAttr", "T2", "T1"),),
        attributes=(Attribute("A1", "assertion", "T3", "hypothetical"),),
    )
    doc, _ = aligner.align(given)
    assert [e._.assertion for e in doc.ents] == ["absent", "hypothetical"]


def test_what_annotators_leave_unsaid_is_present_for_labels_that_they_judge_alone(nlp):
    own = schemes.scheme_of({"layer": "social", "labels": {"SMOKING": {}}}, "social.toml")
    layers = (schemes.load("clinical"), schemes.load("modifiers"), own)
    text = "Cough, no fever. Denies smoking. Aspirin"
    spans = [
        span("T1", "PROBLEM", "Cough", text),
        span("T2", "NEGATION", "no", text),
        span("T3", "PROBLEM", "fever", text),
        span("T4", "SMOKING", "smoking", text),
        span("T5", "DRUG", "Aspirin", text),
    ]
    chosen = Attribute("A1", "assertion", "T3", "absent")
    unread = Attribute("A1", "Experiencer", "T1", "Family")
    notes = [
        note(*spans, text=text, linked=False, attributes=attributes)
        for attributes in ((chosen,), (), (unread,))
    ]
    aligner = Aligner(nlp, layers)
    aligner.judged = aligner.labels_judged(notes)
    assert aligner.judged == {"PROBLEM"}
    docs = [aligner.align(given)[0] for given in notes]
    said = [
        {s.text: (s._.assertion, s._.negated) for group in doc.spans.values() for s in group}
        for doc in docs
    ]
    unknown = dict.fromkeys(("no", "smoking", "Aspirin"), (None, None))
    present = ("present", False)
    assert said == [
        {"Cough": present, "fever": ("absent", True), **unknown},
        {"Cough": present, "fever": present, **unknown},
        {"Cough": (None, None), "fever": present, **unknown},
    ]


def test_a_view_renames_labels_and_leaves_out_the_rest(nlp):
    aligner = Aligner(nlp, (schemes.load("maccrobat"),), view="simple")
    doc, losses = aligner.align(
        note(span("T1", "Sign_symptom", "fever"), span("T2", "Dosage", "81mg"))
    )
    assert [(e.text, e.label_) for e in doc.ents] == [("fever", "SYMPTOM")]
    assert losses == []


def test_an_unknown_view_is_refused_with_the_known_ones(nlp):
    with pytest.raises(ClinnerError, match="simple"):
        Aligner(nlp, (schemes.load("maccrobat"),), view="simpel")


def test_fragments_with_only_white_space_between_them_are_one_span(aligner):
    text = "chest\n  pain"
    doc, losses = aligner.align(note(NoteSpan("T1", "PROBLEM", ((0, 5), (8, 12))), text=text))
    assert [e.text for e in doc.ents] == [text]
    assert losses == []


def test_n2c2_relations_with_the_attribute_first_link_the_drug_to_it(nlp, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf8")
    (tmp_path / "a.ann").write_text(
        "T1\tDrug 24 31\tAspirin\nT2\tStrength 32 36\t81mg\nT3\tFrequency 37 42\tdaily\n"
        "R1\tStrength-Drug Arg1:T2 Arg2:T1\nR2\tFrequency-Drug Arg1:T3 Arg2:T1\n",
        encoding="utf8",
    )
    (given,) = read_brat(tmp_path)
    doc, losses = Aligner(nlp, (schemes.load("n2c2"),)).align(given)
    assert losses == []
    assert [(r.head.text, r.tail.text) for r in doc._.relations] == [
        ("Aspirin", "81mg"),
        ("Aspirin", "daily"),
    ]
    assert [m.label for m in doc.ents[0]._.modifiers] == ["STRENGTH", "FREQUENCY"]


def test_a_legal_relation_whose_end_was_dropped_is_reported(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "PROBLEM", "pain"),
            span("T3", "PROBLEM", "chest pain"),
            relations=(Relation("R1", "hasAttr", "T2", "T1"), Relation("R2", "odd", "T2", "T3")),
        )
    )
    assert not doc._.relations
    assert reasons(losses) == [alignment.OVERLAP, alignment.RELATION]
    assert (losses[1].label, losses[1].text) == ("hasAttr", "R1: T2 T1")


def test_a_span_with_several_faults_is_one_loss_with_its_final_fate(aligner):
    flattened = span("T1", "PROBLEM", "fever", fragments=((3, 8), (18, 21)))
    _, losses = aligner.align(note(flattened))
    assert reasons(losses) == [f"{alignment.FLATTENED}; {alignment.SNAPPED}"]
    inside = span("T2", "PROBLEM", "hest", fragments=((13, 16),))
    _, losses = aligner.align(note(flattened, inside))
    assert reasons(losses) == [f"{alignment.FLATTENED}; {alignment.SNAPPED}", alignment.OVERLAP]


def test_a_span_with_another_text_is_said_to_be_kept_at_its_offsets(aligner):
    bad = span("T1", "PROBLEM", "fever")
    problems = (Problem("n1.ann:4", SURFACE_DIFFERS, bad),)
    _, losses = aligner.align(note(bad, problems=problems))
    assert reasons(losses) == [f"source: {SURFACE_DIFFERS}, kept at its offsets"]
    longer = span("T2", "PROBLEM", "No fever")
    _, losses = aligner.align(note(bad, longer, problems=problems))
    assert [(loss.source, loss.reason) for loss in losses] == [("n1.ann:4", alignment.OVERLAP)]


def test_concept_codes_are_stored_with_the_span(nlp):
    aligner = Aligner(nlp, (schemes.load("ncbi"),))
    doc, _ = aligner.align(note(NoteSpan("T1", "DISEASE", ((3, 8),), codes=("D005334", "D000001"))))
    assert store.values(doc.ents[0])["codes"] == ["D005334", "D000001"]


def test_spans_that_a_view_leaves_out_are_counted(nlp):
    aligner = Aligner(nlp, (schemes.load("maccrobat"),), view="simple")
    given = note(span("T1", "Sign_symptom", "fever"), span("T2", "Dosage", "81mg"))
    assert aligner.left_out(given) == 1


def test_a_type_that_the_scheme_leaves_out_is_counted_and_no_unknown_label(nlp):
    aligner = Aligner(nlp, (schemes.load("umls"),))
    given = note(span("T1", "T047", "fever"), span("T2", "T081", "81mg"))
    doc, losses = aligner.align(given)
    assert [entity.label_ for entity in doc.ents] == ["PHEN_Biologic_Function"]
    assert losses == []
    assert aligner.left_out(given) == 1


def test_a_link_that_is_stated_twice_is_one_and_told_of(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "PROBLEM", "fever"),
            relations=(
                Relation("R1", "hasAttr", "T2", "T1"),
                Relation("R2", "hasAttr", "T2", "T1"),
                Relation("R3", "of", "T1", "T2"),
            ),
        )
    )
    assert [(r.head.text, r.tail.text) for r in doc._.relations] == [("fever", "No")]
    assert [m.span.text for m in doc.ents[0]._.modifiers] == ["No"]
    assert [(loss.reason, loss.text) for loss in losses] == [
        (alignment.LINK_TWICE, "R2: T2 T1"),
        (alignment.LINK_TWICE, "R3: T2 T1"),
    ]


def test_a_corpus_whose_schemes_know_no_pairs_says_nothing_about_relations(nlp):
    note = Note("n", "No fever.", spans=(NoteSpan("T1", "DISEASE", ((3, 8),)),))
    doc, _ = Aligner(nlp, (schemes.load("ncbi"),)).align(note)
    assert not has_relations(doc)
    clinical = Note("n", "No fever.", spans=(NoteSpan("T1", "PROBLEM", ((3, 8),)),))
    doc, _ = Aligner(nlp, (schemes.load("clinical"), schemes.load("modifiers"))).align(clinical)
    assert has_relations(doc)


def test_labels_that_a_corpus_does_not_annotate_are_said_to_be_unknown(nlp):
    layers = (schemes.load("clinical"), schemes.load("modifiers"))
    aligner = Aligner(nlp, layers, annotated=["DRUG", "NEGATION", "PROBLEM"])
    given = note(span("T1", "DRUG", "Aspirin"), span("T2", "DOSAGE", "81mg"))
    doc, losses = aligner.align(given)
    assert losses == []
    assert aligner.left_out(given) == 1
    assert [ent.text for ent in doc.ents] == ["Aspirin"]
    assert annotated_labels(doc, "clinical") == {"DRUG", "PROBLEM"}
    assert annotated_labels(doc, "modifiers") == {"NEGATION"}
    # In a file and a copy, too.
    (read,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(nlp.vocab)
    assert annotated_labels(read, "clinical") == {"DRUG", "PROBLEM"}
    assert annotated_labels(read.copy(), "modifiers") == {"NEGATION"}


def test_where_no_modifier_is_annotated_nothing_is_said_to_lack_one(nlp):
    aligner = Aligner(nlp, (schemes.load("clinical"),), annotated=["PROBLEM"])
    doc, _ = aligner.align(note(span("T1", "PROBLEM", "fever")))
    assert not has_relations(doc)
    assert doc.ents[0]._.negated is None


@pytest.mark.parametrize(
    ("layers", "given"),
    [
        (["clinical"], {}),
        (["clinical", "modifiers"], {"linked": False}),
        (["clinical", "modifiers"], {"labels": ("PROBLEM",)}),
    ],
)
def test_nobody_judged_links_where_modifiers_or_links_are_not_annotated(nlp, layers, given):
    aligner = Aligner(nlp, tuple(map(schemes.load, layers)))
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "fever"), **given))
    assert losses == []
    assert not has_relations(doc)
    (fever,) = doc.ents
    assert (fever._.negated, fever._.uncertain, fever._.experiencer) == (None, None, None)


def test_links_to_modifiers_that_a_view_leaves_out_are_not_annotated(nlp):
    layers = (schemes.load("clinical"), schemes.load("modifiers"))
    doc, _ = Aligner(nlp, layers, view="simple").align(note(span("T1", "DRUG", "Aspirin")))
    assert not has_relations(doc)
    assert doc.ents[0]._.negated is None


def test_labels_of_a_note_go_before_those_of_its_corpus(nlp):
    aligner = Aligner(nlp, (schemes.load("multiclinner"),))
    doc, _ = aligner.align(note(span("T1", "SYM", "fever"), labels=("SYM",)))
    assert annotated_labels(doc, "multiclinner") == {"SYMPTOM"}
    assert annotated_labels(aligner.align(note())[0], "multiclinner") is None


@pytest.mark.parametrize(
    ("names", "layers", "says"),
    [
        (["DRUGS"], ["clinical"], "names DRUGS; .* of these: DRUG, PROBLEM, TEST, TREATMENT"),
        (["DRUG"], ["clinical", "modifiers"], "names none of modifiers"),
    ],
)
def test_labels_that_the_layers_do_not_have_are_refused(nlp, names, layers, says):
    with pytest.raises(ClinnerError, match=says):
        Aligner(nlp, tuple(map(schemes.load, layers)), annotated=names)


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        (["clinical", "own"], "'PROBLEM' is a label or an alias of both clinical and own"),
        (["own", "clinical"], "'PROBLEM' is a label or an alias of both own and clinical"),
        (["clinical", "modifiers", "clinical"], "names the layer clinical twice"),
    ],
)
def test_layers_between_which_a_label_cannot_decide_are_refused(nlp, layers, says):
    data = {"layer": "own", "labels": {"FINDING": {"aliases": ["PROBLEM"]}, "SMOKING": {}}}
    own = schemes.scheme_of(data, "own.toml")
    with pytest.raises(ClinnerError, match=says):
        Aligner(nlp, tuple(own if name == "own" else schemes.load(name) for name in layers))
