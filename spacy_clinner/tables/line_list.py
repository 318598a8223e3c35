"""Documents as lines "Entity: X, Label: Y", with the four labels of tuned general models."""

from collections.abc import Sequence

from spacy.tokens import Doc, Span

from spacy_clinner import schemes
from spacy_clinner.annotation import store
from spacy_clinner.errors import ClinnerError

VIEW = "simple"
# The first that finds a mention says what it is. Where none but `clinical` does, a problem is
# called a symptom.
SPECIFIC = ("maccrobat", "ncbi", "bc5cdr")
LAYERS = ("maccrobat", "ncbi", "bc5cdr", "clinical", "n2c2", "modifiers")


def to_lines(doc: Doc) -> str:
    """Give the diseases, symptoms, drugs and body parts of a document, a line for each.

    doc (Doc): A processed document with any of the layers maccrobat, ncbi, bc5cdr, clinical, n2c2
        and modifiers.
    RETURNS (str): Lines such as "Entity: fever, Label: SYMPTOM", in reading order; the labels are
        DISEASE, SYMPTOM, DRUG and BODY_PART. Where mentions of several layers overlap, that of
        the first of them stays; of maccrobat, ncbi and bc5cdr the surest one names the same words.
    RAISES (ClinnerError): The document has none of these layers.
    """
    known = [layer for layer in LAYERS if layer in doc.spans]
    if not known:
        raise ClinnerError(
            f"to_lines: none of the layers {', '.join(LAYERS)} is in doc.spans; there are: "
            f"{', '.join(doc.spans) or 'none'}."
        )
    surest = _surest([layer for layer in known if layer in SPECIFIC], doc)
    taken: dict[int, Span] = {}
    found: list[tuple[Span, str]] = []
    for layer in known:
        labels = schemes.load(layer).views[VIEW]
        for span in doc.spans[layer]:
            label = labels.get(span.label_)
            if label and not any(token.i in taken for token in span):
                taken.update((token.i, span) for token in span)
                found.append((span, surest.get((span.start, span.end), (0.0, label))[1]))
    found.sort(key=lambda pair: pair[0].start)
    return "\n".join(
        f"Entity: {' '.join(span.text.split())}, Label: {label}" for span, label in found
    )


def _surest(layers: Sequence[str], doc: Doc) -> dict[tuple[int, int], tuple[float, str]]:
    """By first and end token, the confidence and label of the surest mention of these words."""
    found: dict[tuple[int, int], tuple[float, str]] = {}
    for layer in layers:
        labels = schemes.load(layer).views[VIEW]
        for span in doc.spans[layer]:
            confidence = store.values(span).get("confidence")
            sure = 1.0 if confidence is None else confidence
            key = (span.start, span.end)
            if span.label_ in labels and sure > found.get(key, (0.0, ""))[0]:
                found[key] = (sure, labels[span.label_])
    return found
