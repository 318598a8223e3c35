import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_clinner.pipeline.streams import TOKENS_AT_ONCE, cut_by_tokens

NLP = spacy.blank("en")


def doc_of(n_tokens):
    return Doc(NLP.vocab, words=["fever"] * n_tokens)


@given(lengths=st.lists(st.integers(0, 9), max_size=20), tokens=st.integers(1, 12))
def test_documents_stay_in_order_and_a_batch_is_too_long_only_when_its_one_document_is(
    lengths, tokens
):
    docs = [doc_of(n) for n in lengths]
    batches = list(cut_by_tokens(docs, tokens))
    assert [id(doc) for batch in batches for doc in batch] == [id(doc) for doc in docs]
    assert all(batches)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= tokens for batch in batches)


def test_a_batch_that_fails_goes_to_the_error_handler_and_the_others_pass():
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("clinner_ner", config={"layers": ["clinical"]})
    ner.add_label("PROBLEM")
    nlp.initialize()
    failed = []
    nlp.set_error_handler(lambda *failure: failed.append((failure[0], len(failure[2]))))
    docs = [doc_of(3), doc_of(TOKENS_AT_ONCE), doc_of(2)]
    ner.predict, usual = fails_for(docs[1], ner.predict), ner.predict
    found = list(ner.pipe(docs, batch_size=3))
    ner.predict = usual
    assert [id(doc) for doc in found] == [id(docs[0]), id(docs[2])]
    assert failed == [("clinner_ner", 1)]


def fails_for(bad, predict):
    def fail(docs):
        if bad in docs:
            raise ValueError("a document that cannot be predicted")
        return predict(docs)

    return fail


def test_a_document_that_fails_costs_its_batch_nothing_else():
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("clinner_ner", config={"layers": ["clinical"]})
    ner.add_label("PROBLEM")
    nlp.initialize()
    failed = []
    nlp.set_error_handler(lambda *failure: failed.extend(failure[2]))
    docs = [doc_of(n) for n in range(1, 8)]
    ner.predict = fails_for(docs[4], ner.predict)
    assert list(ner.pipe(docs, batch_size=7)) == [*docs[:4], *docs[5:]]
    assert failed == [docs[4]]
