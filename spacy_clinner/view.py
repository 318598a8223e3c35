"""A note as HTML: entities by label, what is negated or uncertain, linked modifiers, sections."""

from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from spacy.displacy.render import DEFAULT_LABEL_COLORS
from spacy.tokens import Doc, Span
from spacy.util import is_in_jupyter

from spacy_clinner import schemes
from spacy_clinner.annotation import said, store
from spacy_clinner.errors import ClinnerError

# By UMLS semantic group, so that every scheme's labels have a colour.
COLORS = {
    "Disorders": "#fbd3cd",
    "Chemicals & Drugs": "#d3e5fb",
    "Procedures": "#d9f0d3",
    "Anatomy": "#f4e3c1",
}
OTHER_COLOR = "#e6e2f1"
MARK = (
    '<mark class="{state}" style="--mark:{bg}" title="{details}"><span>{text}</span>{label}</mark>'
)
# Shared with the page of `clinner serve`.
MARKS = (Path(__file__).parent / "marks.css").read_text(encoding="utf8")
STYLE = f"""<style>
.clinner {{ font: 15px/2 system-ui, sans-serif; max-width: 60rem; color: #222; }}
.clinner h3 {{ font-size: 1rem; line-height: 1.4; margin: 1rem 0 .2rem; color: #345; }}
.clinner .entities {{
  white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
}}
{MARKS}</style>"""
# Whatever stands in a note or a label, a page runs nothing and fetches nothing.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    """content="default-src 'none'; style-src 'unsafe-inline'">"""
)
PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{policy}'
    "<title>{title}</title></head>"
    '<body style="margin:2rem auto;max-width:62rem;padding:0 1rem">{body}</body></html>\n'
)


def render(
    doc: Doc, layer: str | None = None, page: bool = False, jupyter: bool | None = None
) -> Any:
    """Render a document.

    Entities are coloured by semantic group; those absent are struck through, possible ones have a
    dotted frame, those of other people, hypothetical, conditional or historical ones are pale.
    Linked modifiers stand behind an entity's label; the pointer over it shows confidence, cue
    and evidence.

    doc (Doc): The document.
    layer (str | None): The span group to show; `doc.ents` if None. Where spans overlap, each is
        marked.
    page (bool): A whole HTML page instead of a fragment.
    jupyter (bool | None): Display it in a notebook; None finds out whether this is one.
    RETURNS (str | None): The HTML; None where it was displayed.
    RAISES (ClinnerError): The document has no such layer.
    """
    if layer is not None and layer not in doc.spans:
        known = ", ".join(doc.spans) or "none"
        raise ClinnerError(f"The document has no layer {layer!r}. Its layers: {known}.")
    spans = list(doc.ents if layer is None else doc.spans[layer])
    # A section's text goes on to the next heading, so that no text is left out.
    sections = _sections(doc)
    if sections[0][1]:
        sections.insert(0, (None, 0, 0))
    starts = [0, *(start for _, start, _ in sections[1:]), len(doc.text)]
    parts = [
        _section(doc, title, *extent, spans)
        for (title, _, _), extent in zip(sections, pairwise(starts), strict=True)
    ]
    body = f'{STYLE}<div class="clinner">{"".join(parts)}</div>'
    if page:
        return PAGE.format(policy=POLICY, title="clinner", body=body)
    if jupyter or (jupyter is None and is_in_jupyter()):
        from IPython.display import HTML, display

        display(HTML(body))
        return None
    return body


def _sections(doc: Doc) -> list[tuple[str | None, int, int]]:
    """Title and extent in characters of each section; the whole text where there is none."""
    sections = [
        (section.title, section.span.start_char, section.span.end_char)
        for section in said.get_sections(doc)
    ]
    return sections or [(None, 0, len(doc.text))]


def _section(doc: Doc, title: str | None, start: int, end: int, spans: list[Span]) -> str:
    """A heading and its text, in pieces over which the same spans lie: a span that overlaps
    others, or goes on in the next section, is marked in each of its pieces."""
    within = [span for span in spans if span.start_char < end and start < span.end_char]
    cuts = {start, end}
    for span in within:
        cuts |= {max(start, span.start_char), min(end, span.end_char)}
    pieces = [_piece(doc, *piece, within) for piece in pairwise(sorted(cuts))]
    name = "" if title is None else escape(title.replace("_", " ").capitalize())
    heading = f"<h3>{name}</h3>" if name else ""
    return f'{heading}<div class="entities">{"".join(pieces)}</div>'


def _piece(doc: Doc, start: int, end: int, spans: list[Span]) -> str:
    html = escape(doc.text[start:end])
    over = [span for span in spans if span.start_char <= start and end <= span.end_char]
    for span in sorted(over, key=lambda span: (-span.start_char, span.end_char)):
        params = _params(span)
        label = f" <b>{escape(span.label_)}</b>{params['modifiers']}"
        html = MARK.format(
            state=params["state"],
            details=params["details"],
            bg=_color(span),
            text=html,
            label=label if end == span.end_char else "",
        )
    return html


def _color(span: Span) -> str:
    return color(store.values(span).get("color"), said.get_semantic_group(span))


def color(own: str | None, semantic_group: str | None) -> str:
    """The colour of a label.

    own (str | None): What its scheme states.
    semantic_group (str | None): Its UMLS semantic group, which decides where that is no colour.
    RETURNS (str): "#rrggbb".
    """
    # A document may be read from anywhere.
    if isinstance(own, str) and schemes.COLOR.fullmatch(own):
        return own
    return COLORS.get(semantic_group or "", OTHER_COLOR)


def displacy_colors() -> dict[str, str]:
    """The colours of the labels of our schemes, which displaCy finds by its registry
    `displacy_colors`. Labels that spaCy has a colour for (DATE, QUANTITY, ...) keep that one.

    RETURNS (dict[str, str]): By label, "#rrggbb".
    """
    labels = [label for name in schemes.names() for label in schemes.load(name).labels.values()]
    # Two schemes may have a label of one name, of which one says what kind of thing it is.
    labels.sort(key=lambda label: not (label.color or label.semantic_group))
    colors: dict[str, str] = {}
    for label in labels:
        if label.name.upper() not in DEFAULT_LABEL_COLORS:
            colors.setdefault(label.name, color(label.color, label.semantic_group))
    return colors


def _params(span: Span) -> dict[str, str]:
    modifiers = " ".join(
        f"{escape(modifier.label.lower())}: {escape(modifier.span.text)};"
        for modifier in said.get_modifiers(span)
    )
    return {
        "state": _state(span),
        "details": escape(", ".join(_details(span)), quote=True),
        "modifiers": f" <i>{modifiers.rstrip(';')}</i>" if modifiers else "",
    }


def _state(span: Span) -> str:
    judged = said.assertion(span)
    if judged.uncertain:
        return "possible"
    if judged.negated:
        return "absent"
    pale = judged.hypothetical or judged.historical
    pale = pale or judged.experiencer not in (None, "patient")
    return "other" if pale or judged.assertion not in (None, "present") else "present"


def _details(span: Span) -> list[str]:
    judged = said.assertion(span)
    details = [(judged.assertion or "not judged").replace("_", " ")]
    confidence = store.values(span).get("confidence")
    if confidence is not None:
        details.append(f"confidence {confidence:.2f}")
    if judged.negation_cue is not None:
        details.append(f"cue “{judged.negation_cue.text}”")
    further = {
        "absent": judged.negated,
        "possible": judged.uncertain,
        "historical": judged.historical,
        "hypothetical": judged.hypothetical,
    }
    # What the assertion says already is not said again.
    details += [name for name, holds in further.items() if holds and name != judged.assertion]
    if judged.experiencer not in (None, "patient"):
        details.append(f"of {judged.experiencer}")
    return [*details, *judged.evidence]
