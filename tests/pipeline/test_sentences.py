import pickle
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span

# One sentence per part; parts are joined as they stand here.
CASES = {
    "full stops": ["He is well. ", "She is not."],
    "no capital after a full stop": ["no fever. ", "chills present. ", "cough too"],
    "titles": ["Seen by Dr. Smith and Mrs. Jones. ", "They agreed."],
    "anonymised titles": ["Seen by Dr. X. ", "She was well."],
    "initials": ["J. Smith saw him. ", "He left."],
    "one-letter words at the end": ["He has hepatitis C. ", "The liver is large."],
    "letters joined by a stroke end a sentence": [
        "Ext: no C/C/E. ",
        "Rash on legs. ",
        "Denies F/C. ",
        "Cough since the D & C. ",
        "Feeding 60 ML/KG/D. ",
        "Cooling on.",
    ],
    "letters that are part of a name end a sentence": [
        "No hx of hep C. ",
        "HIV on HAART, on vit D. ",
        "Swab with influenza A. ",
        "Cough.",
    ],
    "letters behind a number end a sentence": ["T 98.6 F. ", "Lungs clear, fed 2 L. ", "Well."],
    "initials behind a stroke or a list number end none": [
        "Drs. Okoro & J. Smith, N. Cole/B. Hill\n",
        "2 T. Dolo",
    ],
    "decimals": ["Temp 98.6 and K 3.5 today. ", "Stable."],
    "dosing abbreviations": ["Aspirin 81 mg q.d. and Lasix 20 mg b.i.d. with food. ", "Stop."],
    "an abbreviation ends a sentence": ["Aspirin 81 mg q.d. ", "He is well."],
    "No. before a number": ["A No. 5 catheter was used. ", "It worked."],
    "no. at the end": ["Pain? ", "No. ", "Fever? ", "No."],
    "versus": ["Gout vs. sepsis was discussed. ", "Gout won."],
    "numbered list": ["1. Gout\n", "2. Asthma. ", "Stable.\n", "3. Rash"],
    "numbers inside a line": ["IMPRESSION: 1. Gout. ", "2. Asthma."],
    "numbers with brackets": ["DIAGNOSIS: ", "1) Gout ", "2) Rash (grade 2) here"],
    "bullets": ["- no cough\n", "- fever\n", "* rash"],
    "bullets inside a line": ["Symptoms ", "• fever ", "• rash"],
    "line ends": ["No fever\n", "Cough since Monday"],
    "hard wrap": [
        "The patient came to the emergency room with pain in the left\nchest that had begun on the "
        "evening before he went to bed after\ndinner, and it did not go away until he had taken a "
        "tablet of\nnitroglycerin. ",
        "He is well.",
    ],
    "one long line is no margin": [
        "Slept well\n",
        "Ate breakfast\n",
        "Ambulated in hall x2 with walker and aide, denies pain\n",
        "Nausea after lunch\n",
        "VSS",
    ],
    "two long lines among many are no margin": [
        "Seen at home\n",
        "Wound clean and dry, dressing changed, no odour, pain 2/10\n",
        "Edema both legs\n",
        "Lungs clear\n",
        "Abd soft\n",
        "Gait slow\n",
        "Meds set up for the week, daughter will call if any are short\n",
        "Rash on back\n",
        "VSS",
    ],
    "number signs": [
        "# AKI: hold ACE, fluids, recheck BMP in the morning, avoid NSAIDs\n",
        "# DVT ppx\n",
        "# HTN",
    ],
    "letters of a list": ["a. no fever\n", "b. The cough is new\n", "iii. gout\n", "iv. rash"],
    "letters with brackets": ["Plan\n", "A) no fever\n", "B) cough"],
    "a germ is no letter of a list": ["Blood grew the\nC. difficile and\nE. coli"],
    "short forms before what they say something of": [
        "No sig. edema, no evid. of PE, no prev. MI or assoc. nausea. ",
        "Susp. UTI. ",
        "Prob. Viral infection, poss. strep. ",
        "Occ. cough, no periph. edema, sm. effusion.",
    ],
    "a short form that ends a sentence": [
        "Gout is poss. ",
        "Will follow. ",
        "CLEAR BILAT. ",
        "ABD SOFT. ",
        "Per surg. ",
        "Stable.",
    ],
    "a line that cannot end there": ["He was treated for\nGout. ", "Better."],
    "a list with commas": ["Denies pain,\nnausea, or fever. ", "Well."],
    "blank lines": ["No fever\n\n", "and cough"],
    "headings": ["PLAN:\n", "Rest. ", "ALLERGIES: none"],
    "headings inside a line": ["there is no edema ", "NEUROLOGIC: alert"],
    "headings of more words than one": [
        "Hold Home Meds: lisinopril, HCTZ\n",
        "Physical Exam: rash, Recent Labs: K 4\n",
        "HELD HOME MEDS: aspirin\n",
        "Treatment Plan: rest\n",
        "CT Head: no bleed\n",
        "XR Chest: clear\n",
        "Denies pain in Left Neck: supple",
    ],
    "headings of one word inside a line": ["no fever ", "Neuro: weak ", "Lungs: clear"],
    "headings in capitals inside a line": ["no edema ", "HOME MEDS: aspirin"],
    "ages": ["Pt is a 45 y.o. M with CP. ", "No SOB. ", "He is 45 y.o. ", "Denies pain."],
    "short forms with stops inside": ["Seen in the E.D. yesterday, Rt. knee swollen. ", "Well."],
    "quotes": ['He said "no pain." ', "She agreed."],
    "windows line ends": ["No fever.\r\n", "Cough."],
    "glued": ["He has pain.", "Denies fever."],
}


def make(tokenizer: str = "clinner.Tokenizer.v1", **config: object) -> Language:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": tokenizer}}})
    nlp.add_pipe("clinner_sentences", config=config)
    return nlp


@pytest.fixture(scope="module")
def nlp() -> Language:
    return make()


@pytest.mark.parametrize("name", CASES)
def test_sentences_end_where_a_reader_ends_them(nlp: Language, name: str):
    doc = nlp("".join(CASES[name]))
    assert [sent.text.strip() for sent in doc.sents] == [part.strip() for part in CASES[name]]


def test_boundaries_of_an_earlier_component_stay_unless_told_otherwise(nlp: Language):
    for overwrite, wanted in ((False, ["A b. C", "d"]), (True, ["A b.", "C d"])):
        pipeline = make(overwrite=overwrite)
        doc = Doc(
            pipeline.vocab, ["A", "b", ".", "C", "d"], spaces=[True, False, True, True, False]
        )
        for token in doc:
            token.is_sent_start = token.i in (0, 4)
        doc = pipeline.get_pipe("clinner_sentences")(doc)
        assert [sent.text for sent in doc.sents] == wanted


def test_a_parsed_document_keeps_the_sentences_of_its_parse():
    nlp = make(overwrite=True)
    doc = Doc(nlp.vocab, ["A", ".", "B"], heads=[0, 0, 0], deps=["ROOT", "punct", "dep"])
    assert len(list(nlp.get_pipe("clinner_sentences")(doc).sents)) == 1


def test_an_entity_is_never_cut(nlp: Language):
    doc = nlp.make_doc("vitamin B. The end")
    doc.set_ents([Span(doc, 1, 4, "X")])
    doc = nlp.get_pipe("clinner_sentences")(doc)
    assert not any(token.is_sent_start for token in doc.ents[0][1:])


def test_it_survives_disk_bytes_pickle_and_two_processes(tmp_path: Path):
    nlp = make(overwrite=True)
    nlp.to_disk(tmp_path)
    copies = [
        spacy.load(tmp_path),
        pickle.loads(pickle.dumps(nlp)),
        make().from_bytes(nlp.to_bytes()),
    ]
    for copy in copies:
        assert copy.get_pipe("clinner_sentences").overwrite
        assert len(list(copy("One. Two.").sents)) == 2
    docs = list(nlp.pipe(["One. Two.", "", " \n", "Three."], n_process=2))
    assert [len(list(doc.sents)) for doc in docs] == [2, 0, 1, 1]


@settings(max_examples=60)
@given(st.text(alphabet=st.sampled_from(list("aA1.:;-)( \n\r\t•?\"'Z,")), max_size=80) | st.text())
def test_any_text_is_cut_into_sentences_that_give_it_back(nlp: Language, text: str):
    doc = nlp(text)
    assert "".join(sent.text_with_ws for sent in doc.sents) == text
    if len(doc):
        assert doc.has_annotation("SENT_START", require_complete=True)
