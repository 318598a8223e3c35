import sys
import threading

import pytest
import spacy
from spacy.tokens import Span

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.phrases import expand
from spacy_clinner.pipeline.threads import one_at_a_time


def test_a_method_that_compiles_is_run_by_one_thread_at_a_time():
    inside, most = [], []

    class Component:
        @one_at_a_time
        def compiled(self):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    component = Component()
    threads = [threading.Thread(target=component.compiled) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


@pytest.mark.parametrize("name", ["clinner_sections", "clinner_context"])
def test_the_first_documents_of_several_threads_are_read_as_later_ones(name):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        nlp = spacy.blank("en")
        component = nlp.add_pipe(name)
        # Not by a ruler of spaCy's, whose filter of warnings threads take from each other.
        docs = [nlp.make_doc("HPI: \nDenies fever.\n\nPLAN: rest") for _ in range(4)]
        for doc in docs:
            doc.ents = [doc.char_span(13, 18, "PROBLEM")]
        barrier, errors = threading.Barrier(4), []

        def first(doc):
            barrier.wait()
            try:
                component(doc)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=first, args=(doc,)) for doc in docs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert component._compiled() is component._compiled()


def test_what_is_remembered_of_labels_does_not_grow_with_ids():
    nlp = spacy.blank("en")
    context = nlp.add_pipe("clinner_context")
    sizes = []
    for at in range(3):
        for number in range(200):
            doc = nlp.make_doc("no fever")
            doc.ents = [Span(doc, 1, 2, "PROBLEM", span_id=f"patient-{at}-{number}")]
            context(doc)
        remembered = schemes.scheme._semantic_group.cache_info().currsize
        own = sum(len(value) for value in vars(context).values() if isinstance(value, dict))
        sizes.append((remembered, own))
    assert sizes[1] == sizes[2]


def test_a_pattern_that_stands_for_too_many_phrases_is_refused_before_they_are_made():
    with pytest.raises(ClinnerError, match="more than 5000 phrases"):
        expand(" ".join(["(a|b)"] * 60), {})
    assert len(expand("(a|b) (c|d|) e", {})) == 6
