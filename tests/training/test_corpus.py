import random

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.training.corpus import create_corpus, passes_by_corpus, sample

NLP = spacy.blank("en")


def doc_of(layer, n_tokens):
    doc = Doc(NLP.vocab, words=["fever"] * n_tokens)
    doc.spans[layer] = [Span(doc, 0, 1, label="PROBLEM")]
    return doc


def write(path, docs):
    DocBin(docs=docs).to_disk(path)
    return path


def test_several_corpora_are_read_as_one_and_keep_the_layers_they_annotate(tmp_path):
    a = write(tmp_path / "a.spacy", [doc_of("clinical", 4)])
    b = write(tmp_path / "b.spacy", [doc_of("ncbi", 4)])
    examples = list(create_corpus([a, b])(NLP))
    assert [list(e.reference.spans) for e in examples] == [["clinical"], ["ncbi"]]
    assert all(not e.predicted.spans for e in examples)


def test_by_size_every_document_is_read_once(tmp_path):
    path = write(tmp_path / "a.spacy", [doc_of("a", 10), doc_of("a", 10), doc_of("b", 5)])
    assert len(list(create_corpus(path, size_exponent=1.0)(NLP))) == 3


def test_evenly_each_corpus_gives_as_many_tokens_as_the_largest(tmp_path):
    docs = [doc_of("a", 10), doc_of("a", 10), doc_of("b", 5)]
    path = write(tmp_path / "a.spacy", docs)
    read = list(create_corpus(path, size_exponent=0.0)(NLP))
    assert [next(iter(e.reference.spans)) for e in read].count("b") == 4
    assert passes_by_corpus([docs], 0.5) == {(0, (("a", ()),)): 1.0, (0, (("b", ()),)): 2.0}


def test_documents_that_annotate_some_labels_of_a_layer_are_a_corpus_of_their_own():
    docs = [doc_of("a", 10), doc_of("a", 5)]
    docs[1].spans["a"].attrs[LABELS] = ["PROBLEM"]
    passes = passes_by_corpus([docs], 0.5)
    assert passes == {(0, (("a", ()),)): 1.0, (0, (("a", ("PROBLEM",)),)): 2.0**0.5}


def test_two_files_of_the_same_layers_are_two_corpora(tmp_path):
    gold = write(tmp_path / "gold.spacy", [doc_of("a", 4)])
    silver = write(tmp_path / "silver.spacy", [doc_of("a", 8), doc_of("a", 8)])
    read = list(create_corpus([gold, silver], size_exponent=0.5)(NLP))
    assert [len(example.reference) for example in read] == [4, 4, 8, 8]


def test_a_folder_of_corpora_can_be_read(tmp_path):
    write(tmp_path / "a.spacy", [doc_of("a", 3)])
    write(tmp_path / "b.spacy", [doc_of("b", 3)])
    assert len(list(create_corpus(tmp_path)(NLP))) == 2


def test_empty_documents_are_left_out(tmp_path):
    path = write(tmp_path / "a.spacy", [Doc(NLP.vocab), doc_of("a", 3)])
    assert len(list(create_corpus(path)(NLP))) == 1


@given(
    sizes=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), min_size=1, max_size=12),
    exponent=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_no_document_is_ever_left_out_and_the_order_stays(sizes, exponent, seed):
    docs = [doc_of(layer, n) for layer, n in sizes]
    number = {id(doc): at for at, doc in enumerate(docs)}
    sampled = [number[id(doc)] for doc in sample([docs], exponent, random.Random(seed))]
    assert sampled == sorted(sampled)
    assert set(sampled) == set(range(len(docs)))
    assert sampled == [number[id(doc)] for doc in sample([docs], exponent, random.Random(seed))]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_the_largest_corpus_is_read_once_whatever_the_exponent(exponent):
    docs = [doc_of("a", 30), doc_of("b", 3)]
    assert passes_by_corpus([docs], exponent)[0, (("a", ()),)] == 1.0


def read_layers(reader):
    return [next(iter(example.reference.spans)) for example in reader(NLP)]


def test_each_pass_draws_anew_and_a_new_reader_draws_the_same(tmp_path):
    docs = [doc_of("a", 3), *(doc_of(str(n), 1) for n in range(20))]
    path = write(tmp_path / "a.spacy", docs)
    reader, again = (create_corpus(path, size_exponent=0.5, seed=1) for _ in range(2))
    passes = [read_layers(reader) for _ in range(3)]
    assert len(set(map(tuple, passes))) == 3
    assert [read_layers(again) for _ in range(3)] == passes
    assert all(set(drawn) == {"a", *map(str, range(20))} for drawn in passes)


def test_limit_max_length_and_augmenter_are_those_of_spacys_reader(tmp_path):
    path = write(tmp_path / "a.spacy", [doc_of("a", n) for n in (3, 30, 3, 3)])

    def twice(nlp, example):
        yield example
        yield example

    options = {"limit": 3, "max_length": 10, "augmenter": twice}
    lengths = [
        [len(example.reference) for example in reader(NLP)]
        for reader in (create_corpus(path, **options), Corpus(path, **options))
    ]
    assert lengths == [[3, 3, 3, 3]] * 2


SENTENCES = "No fever. Has bad cough; takes much aspirin. Sleeps very well all night long today."


def annotated(*sentence_starts):
    """A document of two layers, with what is said of their spans and links between them."""
    doc = NLP.make_doc(SENTENCES)
    for token in doc:
        token.is_sent_start = token.i in sentence_starts
    words = {token.text: token.i for token in doc}

    def span(first, last, label):
        return Span(doc, words[first], words[last] + 1, label, span_id=label)

    fever, cough = span("fever", "fever", "PROBLEM"), span("cough", "cough", "PROBLEM")
    no, bad = span("No", "No", "NEGATION"), span("bad", "bad", "SEVERITY")
    doc.spans["clinical"] = [fever, cough, span("aspirin", "aspirin", "DRUG")]
    doc.spans["clinical"].attrs[LABELS] = ["DRUG", "PROBLEM"]
    doc.spans["modifiers"] = [no, bad]
    doc.set_ents(doc.spans["clinical"])
    said.set_relations(doc, [(fever, no, None), (cough, bad, None), (cough, no, None)])
    for entity, negated, modifiers in ((fever, True, [no]), (cough, False, [bad, no])):
        links = said.modifier_values(entity, ((m.label_, m, None) for m in modifiers))
        store.set_values(entity, layer="clinical", negated=negated, modifiers=links)
    return doc


def read_short(tmp_path, doc, max_length):
    path = tmp_path / "a.spacy"
    DocBin(docs=[doc], store_user_data=True).to_disk(path)
    return [example.reference for example in create_corpus(path, max_length=max_length)(NLP)]


def test_a_sentence_of_a_document_that_is_too_long_keeps_all_that_is_said_in_it(tmp_path):
    # The second cut is where no punctuation is; the last sentence is too long.
    first, second, third = read_short(tmp_path, annotated(0, 3, 7, 11), 6)
    assert [d.text.strip() for d in (first, second)] == ["No fever.", "Has bad cough;"]
    assert third.text == "takes much aspirin. "
    for doc in (first, second, third):
        assert doc.spans["clinical"].attrs[LABELS] == ["DRUG", "PROBLEM"]
        assert [ent.text for ent in doc.ents] == [span.text for span in doc.spans["clinical"]]
    found = [
        [(span.text, span.label_, span.id_) for group in doc.spans.values() for span in group]
        for doc in (first, second, third)
    ]
    assert found == [
        [("fever", "PROBLEM", "PROBLEM"), ("No", "NEGATION", "NEGATION")],
        [("cough", "PROBLEM", "PROBLEM"), ("bad", "SEVERITY", "SEVERITY")],
        [("aspirin", "DRUG", "DRUG")],
    ]
    assert list(third.spans["modifiers"]) == []
    links = [
        [(r.head.text, r.tail.text) for r in said.get_relations(d)] for d in (first, second, third)
    ]
    assert links == [[("fever", "No")], [("cough", "bad")], []]
    assert said.has_relations(third)
    fever, cough = first.ents[0], second.ents[0]
    assert [said.get_value(span, "negated") for span in (fever, cough)] == [True, False]
    assert [m.span.text for m in said.get_modifiers(cough)] == ["bad"]


def test_sentences_that_a_span_crosses_are_not_cut_apart(tmp_path):
    doc = annotated(0, 3, 7, 11)
    doc.spans["other"] = [doc[5:8]]
    texts = [piece.text.strip() for piece in read_short(tmp_path, doc, 9)]
    assert texts[:2] == ["No fever.", "Has bad cough; takes much aspirin."]
    assert [piece.text.strip() for piece in read_short(tmp_path, doc, 6)] == ["No fever."]


def test_a_document_that_is_too_long_and_has_no_sentences_is_left_out(tmp_path):
    assert read_short(tmp_path, doc_of("a", 30), 10) == []
