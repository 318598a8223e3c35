import pytest
import spacy

import spacy_clinner
from spacy_clinner.errors import ClinnerError

TEXT = "Had malaria and fits; took quinine for a sore hip."


def make(nlp, **layers):
    doc = nlp.make_doc(TEXT)
    for layer, found in layers.items():
        places = [(TEXT.find(words), words, label) for words, label in found]
        doc.spans[layer] = [
            doc.char_span(at, at + len(words), label=label) for at, words, label in places
        ]
    return doc


def test_each_mention_is_a_line_with_one_of_four_labels_in_reading_order(nlp):
    doc = make(
        nlp,
        maccrobat=[("quinine", "Medication"), ("malaria", "Disease_disorder"), ("Had", "Date")],
        clinical=[("malaria and fits", "PROBLEM"), ("sore", "PROBLEM"), ("quinine", "DRUG")],
        modifiers=[("hip", "BODYLOC"), ("Had", "TEMPORAL")],
        bc5cdr=[("fits", "DISEASE")],
    )
    assert spacy_clinner.to_lines(doc).splitlines() == [
        "Entity: malaria, Label: DISEASE",
        "Entity: fits, Label: DISEASE",
        "Entity: quinine, Label: DRUG",
        "Entity: sore, Label: SYMPTOM",
        "Entity: hip, Label: BODY_PART",
    ]


def test_nothing_found_is_no_line(nlp):
    assert spacy_clinner.to_lines(make(nlp, clinical=[])) == ""


def test_a_document_without_such_layers_is_refused():
    with pytest.raises(ClinnerError, match=r"none of the layers maccrobat.*there are: none"):
        spacy_clinner.to_lines(spacy.blank("en")("fever"))
