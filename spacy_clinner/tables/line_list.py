"""Documents as lines "Entity: X, Label: Y", with the four labels of tuned general models."""

from spacy.tokens import Doc, Span

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError

VIEW = "simple"
# The first that finds a mention says what it is. Where none but `clinical` does, a problem is
# called a symptom.
LAYERS = ("maccrobat", "ncbi", "bc5cdr", "clinical", "n2c2", "modifiers")


def to_lines(doc: Doc) -> str:
    """Give the diseases, symptoms, drugs and body parts of a document, a line for each.

    doc (Doc): A processed document with any of the layers maccrobat, ncbi, bc5cdr, clinical, n2c2
        and modifiers.
    RETURNS (str): Lines such as "Entity: fever, Label: SYMPTOM", in reading order; the labels are
        DISEASE, SYMPTOM, DRUG and BODY_PART. Where mentions of several layers overlap, that of
        the first of them stays.
    RAISES (ClinnerError): The document has none of these layers.
    """
    known = [layer for layer in LAYERS if layer in doc.spans]
    if not known:
        raise ClinnerError(
            f"to_lines: none of the layers {', '.join(LAYERS)} is in doc.spans; there are: "
            f"{', '.join(doc.spans) or 'none'}."
        )
    taken: dict[int, Span] = {}
    found: list[tuple[Span, str]] = []
    for layer in known:
        labels = schemes.load(layer).views[VIEW]
        for span in doc.spans[layer]:
            label = labels.get(span.label_)
            if label and not any(token.i in taken for token in span):
                taken.update((token.i, span) for token in span)
                found.append((span, label))
    found.sort(key=lambda pair: pair[0].start)
    return "\n".join(
        f"Entity: {' '.join(span.text.split())}, Label: {label}" for span, label in found
    )
