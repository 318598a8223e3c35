import numpy as np
import spacy

from spacy_clinner.pipeline.vocabulary import without_texts

NAME = "Quartermain"


def test_a_saved_pipeline_holds_no_word_of_the_texts_that_it_read(nlp, tmp_path):
    nlp(f"{NAME}, MRN 4711-0815, has fever.")
    without_texts(nlp).to_disk(tmp_path)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not any(word.encode() in part for part in written for word in (NAME, "4711", "0815"))
    assert NAME in nlp.vocab.strings


def test_a_saved_pipeline_does_what_it_did(nlp, tmp_path):
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    without_texts(nlp).to_disk(tmp_path)
    doc = spacy.load(tmp_path)(f"{NAME} has fever.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("fever", "PROBLEM")]


def test_vectors_keep_their_words(nlp, tmp_path):
    nlp.vocab.set_vector("fever", np.ones(3, dtype="f"))
    nlp(f"{NAME} has fever.")
    without_texts(nlp).to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert loaded.vocab["fever"].vector.tolist() == [1, 1, 1]
    assert NAME not in loaded.vocab.strings


def test_the_labels_of_components_are_known_before_the_first_document(nlp):
    nlp.add_pipe("clinner_ner", config={"layers": ["clinical"]}).add_label("PROBLEM")
    assert "PROBLEM" in without_texts(nlp).vocab.strings
