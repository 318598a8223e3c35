"""A pipeline that takes no time, a note for it, and what tests do with the page."""

import re
from collections import defaultdict
from itertools import accumulate

from spacy.language import Language

from spacy_clinner import schemes
from spacy_clinner.annotation import said, store

NOTE = """Chief complaint:
Severe chest pain 😀 for 2 days.

History of present illness:
Denies fever. Possible pneumonia. Mother had breast cancer.

Medications:
1. Aspirin 81 mg PO daily
2. Lisinopril 10 mg PO BID

Labs:
Troponin 4.8 ng/mL. Return if dyspnea worsens.
"""
MARKUP = "<img src=x onerror=alert(1)>"
# By layer and label, the words; by words, a confidence other than 0.9.
WORDS = {
    "clinical": {
        "PROBLEM": "chest pain|fever|pneumonia|breast cancer|dyspnea|ألم",
        "TREATMENT": "stent",
        "DRUG": "aspirin|lisinopril",
        "TEST": "troponin",
    },
    "modifiers": {
        "NEGATION": "denies|no",
        "SEVERITY": "severe|mild",
        "BODYLOC": "chest|breast",
        "TEMPORAL": r"\d+ days",
        "STRENGTH": r"\d+ mg",
        "ROUTE": "PO",
        "FREQUENCY": "daily|BID",
        "LABVALUE": r"[\d.]+ ng/mL",
    },
    "ncbi": {"DISEASE": "pain|pneumonia|breast cancer"},
    "odd": {MARKUP: "oddity"},
}
CONFIDENCE = {"fever": 0.55, "pneumonia": 0.62, "dyspnea": 0.31}

TYPE = """text => {
    const area = document.querySelector("#text");
    area.value = text;
    area.dispatchEvent(new Event("input", {bubbles: true}));
}"""


@Language.factory("toy_layers")
class ToyLayers:
    """Finds words, and links a modifier to the entities of its line. "breaks" is
    an error."""

    layers = tuple(WORDS)

    def __init__(self, nlp: Language, name: str) -> None:  # noqa: ARG002
        self.name = name
        self.layer_labels = {layer: tuple(labels) for layer, labels in WORDS.items()}
        # Says which modifiers may be linked to what.
        self.schemes = {"clinical": schemes.load("clinical")}

    def __call__(self, doc):
        if "breaks" in doc.text:
            raise ValueError("It breaks.")
        for layer, labels in WORDS.items():
            doc.spans[layer] = sorted(
                (
                    self._span(doc, found, label, layer)
                    for label, words in labels.items()
                    for found in re.finditer(rf"(?<!\w)(?:{words})(?!\w)", doc.text, re.I)
                ),
                key=lambda span: span.start_char,
            )
        doc.set_ents(list(doc.spans["clinical"]))
        legal = schemes.load("clinical").pairs
        line_of = list(accumulate(doc.text, lambda line, sign: line + (sign == "\n"), initial=0))
        by_line = defaultdict(list)
        for tail in doc.spans["modifiers"]:
            by_line[line_of[tail.start_char]].append((tail.label_, tail, 0.8))
        for head in doc.spans["clinical"]:
            near = by_line[line_of[head.start_char]]
            may = legal.get(head.label_, ())
            said.set_modifiers(head, [link for link in near if link[0] in may])
        return doc

    def _span(self, doc, found, label, layer):
        span = doc.char_span(*found.span(), label=label, span_id=layer, alignment_mode="expand")
        store.set_values(span, layer=layer, confidence=CONFIDENCE.get(found[0].lower(), 0.9))
        return span


def edit(page, start, end, words):
    """Puts words in the place of a part of the text, as a hand does, and waits for the answer."""
    page.focus("#text")
    page.evaluate(
        "([start, end]) => document.querySelector('#text').setSelectionRange(start, end)",
        [start, end],
    )
    with page.expect_response("**/v1/annotate") as answered:
        page.keyboard.insert_text(words)
    wait(page, answered)


def write(page, text, how="open"):
    """Puts another text in and waits for its answer.

    how: "open" gives it as a file, which is sent at once; "type" as a program does that fills it
    in.
    """
    with page.expect_response("**/v1/annotate") as answered:
        if how == "open":
            file = {"name": "note.txt", "mimeType": "text/plain", "buffer": text.encode()}
            page.set_input_files("#file", file)
        else:
            page.evaluate(TYPE, text)
    wait(page, answered)


def wait(page, answered):
    """Waits until an answer is shown."""
    assert answered.value.ok, answered.value.text()
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('answered')")
    page.wait_for_function("() => document.querySelector('#note').ariaBusy === 'false'")


def tag(page, words, label="PROBLEM"):
    """The mark of some words: its button."""
    return page.locator(f'.tag[aria-label^="{words}, {label}"]')
