"""Four annotated notes, and a pipeline that learns them within seconds."""

from spacy.lang.en import English
from spacy.training import Example
from spacy.util import fix_random_seed

NOTES = [
    ("Patient has chest pain today .", [(12, 22, "PROBLEM")], [(12, 17, "BODYLOC")]),
    ("No fever . Takes aspirin daily .", [(3, 8, "PROBLEM"), (17, 24, "DRUG")],
     [(0, 2, "NEGATION"), (25, 30, "FREQUENCY")]),
    ("Denies knee pain .", [(7, 16, "PROBLEM")], [(0, 6, "NEGATION"), (7, 11, "BODYLOC")]),
    ("Seen in clinic .", [], []),
]  # fmt: skip
LAYERS = ["clinical", "modifiers"]


def reference(nlp, text, **layers):
    doc = nlp.make_doc(text)
    for layer, spans in layers.items():
        doc.spans[layer] = [doc.char_span(s, e, label=label) for s, e, label in spans]
    doc.set_ents(list(doc.spans["clinical"]) if "clinical" in layers else [])
    return doc


def examples_for(nlp):
    docs = [reference(nlp, text, clinical=c, modifiers=m) for text, c, m in NOTES]
    return [Example(nlp.make_doc(doc.text), doc) for doc in docs]


def make_nlp(**config):
    # What is learned must not depend on the tests that ran before.
    fix_random_seed(0)
    nlp = English()
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, **config})
    return nlp


def train(nlp, examples, steps=40, sgd=None):
    sgd = sgd or nlp.create_optimizer()
    sgd.learn_rate = 0.01
    for _ in range(steps):
        losses = nlp.update(examples, sgd=sgd)
    return losses


def spans_of(doc, layer):
    return [(span.text, span.label_) for span in doc.spans[layer]]
