import pickle

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin, Span

from spacy_clinner.errors import ClinnerError


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_abbreviations")
    return nlp


def note(nlp, marked):
    """A document of a text whose entities stand between "«" and "»"."""
    text, spans = "", []
    for piece in marked.replace("»", "«").split("«"):
        spans.append((len(text), len(text) + len(piece)))
        text += piece
    doc = nlp.make_doc(text)
    doc.set_ents([doc.char_span(*span, label="X", alignment_mode="expand") for span in spans[1::2]])
    return nlp.get_pipe("clinner_abbreviations")(doc)


def expanded(nlp, marked):
    return [ent._.expansion for ent in note(nlp, marked).ents]


@pytest.mark.parametrize(
    ("marked", "expansion"),
    [
        ("Has «HTN».", "hypertension"),
        ("Has «severe HTN».", "severe hypertension"),
        ("an «acute CHF exacerbation»", "acute congestive heart failure exacerbation"),
        ("«HTN/COPD»", "hypertension/chronic obstructive pulmonary disease"),
        ("«HIV-positive»", "human immunodeficiency virus-positive"),
        ("«recurrent UTIs»", "recurrent urinary tract infections"),
        ("takes it «b.i.d.»", "twice a day"),
        ("takes it «q.4h. p.r.n.»", "q.4h. as needed"),
        ("«CXR» clear", "chest x-ray"),
        ("Oncology: «ALL» in remission", "acute lymphoblastic leukemia"),
        ("FREE OF «ALL PAIN»", None),
        ("«chest pain»", None),
        ("«pick-up of speech»", None),
        ("«MS»", None),
        ("«CP» since cerebral palsy (CP) was found", "cerebral palsy"),
        ("multiple sclerosis (MS). «MS flare»", "multiple sclerosis flare"),
        ("ventricular septal aneurysm (VSA). Two «VSAs»", "ventricular septal aneurysms"),
        ("«chest pain (CP)» today", "chest pain"),
        ("«CP (chest pain)» today", "chest pain"),
        ("chest pain («CP») today", "chest pain"),
        ("«chest pain» (CP) today", None),
    ],
)
def test_short_forms_in_an_entity_are_written_out_where_they_are_clear(nlp, marked, expansion):
    assert expanded(nlp, marked) == [expansion]


def test_a_definition_holds_until_the_note_gives_another(nlp):
    marked = "multiple sclerosis (MS), «MS»; then mitral stenosis (MS), «MS»"
    assert expanded(nlp, marked) == ["multiple sclerosis", "mitral stenosis"]


def test_groups_may_be_chosen_and_a_group_that_is_not_there_is_no_error():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_abbreviations", config={"span_keys": ["drugs", "absent"]})
    doc = nlp.make_doc("HTN on ASA")
    doc.set_ents([Span(doc, 0, 1, "PROBLEM")])
    doc.spans["drugs"] = [Span(doc, 0, 1, "DRUG")]
    doc = nlp(doc)
    assert doc.spans["drugs"][0]._.expansion == "hypertension"


def test_own_short_forms_are_settings_of_the_pipeline(tmp_path):
    nlp = spacy.blank("en")
    own = {"MS": "mitral stenosis", "htn": [], "xyz": ["one thing", "another"]}
    nlp.add_pipe("clinner_abbreviations", config={"short_forms": own})
    nlp.to_disk(tmp_path)
    again = spacy.blank("en")
    again.add_pipe("clinner_abbreviations").from_bytes(
        nlp.get_pipe("clinner_abbreviations").to_bytes()
    )
    for pipeline in (nlp, spacy.load(tmp_path), pickle.loads(pickle.dumps(nlp)), again):
        assert expanded(pipeline, "has «MS» «HTN» «XYZ»") == ["mitral stenosis", None, None]
    with pytest.raises(ClinnerError, match="short_forms must give"):
        spacy.blank("en").add_pipe("clinner_abbreviations", config={"short_forms": {"a b": "c"}})


def test_the_expansion_follows_its_span(nlp):
    doc = note(nlp, "Known «HTN» for years. Denies pain.")
    stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
    for again in (
        doc.copy(),
        next(DocBin().from_bytes(stored).get_docs(nlp.vocab)),
        doc[0:5].as_doc(copy_user_data=True),
        pickle.loads(pickle.dumps(doc)),
    ):
        assert again.ents[0]._.expansion == "hypertension"
    renamed = Span(doc, doc.ents[0].start, doc.ents[0].end, "DISEASE")
    doc.set_ents([renamed])
    assert doc.ents[0]._.expansion == "hypertension"


def test_a_second_run_with_other_settings_takes_back_what_no_longer_holds(nlp):
    doc = note(nlp, "«HTN»")
    other = spacy.blank("en").add_pipe("clinner_abbreviations", config={"short_forms": {"htn": []}})
    assert other(doc).ents[0]._.expansion is None


def test_the_name_of_the_extension_may_have_a_prefix():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_abbreviations", config={"prefix": "my_"})
    doc = nlp.make_doc("HTN")
    doc.set_ents([Span(doc, 0, 1, "X")])
    assert nlp(doc).ents[0]._.my_expansion == "hypertension"


def test_the_analysis_of_the_pipeline_names_what_it_sets(nlp):
    analysis = nlp.analyze_pipes()
    assert analysis["attrs"]["span._.expansion"]["assigns"] == ["clinner_abbreviations"]
    assert not any(analysis["problems"].values())


WORDS = st.sampled_from(
    [
        "HTN",
        "severe",
        "b.i.d.",
        "CHF,",
        "MS",
        "(CP)",
        "chest pain (CP)",
        "\n",
        "é",
        "HIV-positive",
        "of",
    ]
)


@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_what_is_no_short_form_stays_as_it_is(nlp, words, data):
    doc = nlp.make_doc(" ".join(words))
    start = data.draw(st.integers(0, len(doc) - 1))
    end = data.draw(st.integers(start + 1, len(doc)))
    doc.spans["any"] = [Span(doc, start, end, "X")]
    span = nlp.get_pipe("clinner_abbreviations")(doc).spans["any"][0]
    expansion = span._.expansion
    clear = {"HTN", "CHF", "HIV"}
    if not any(short in span.text for short in (*clear, "b.i.d", "CP")):
        assert expansion is None
    if expansion is not None:
        assert expansion != span.text
        assert not any(short in expansion for short in clear)
        assert expansion.count("severe") == span.text.count("severe")
        assert expansion.count("MS") == span.text.count("MS")
