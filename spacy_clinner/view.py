"""A note as HTML: entities by label, what is negated or uncertain, linked modifiers, sections."""

from html import escape
from typing import Any

from spacy import displacy
from spacy.tokens import Doc, Span
from spacy.util import is_in_jupyter

from spacy_clinner.annotation import said, store

# By UMLS semantic group, so that every scheme's labels have a colour.
COLORS = {
    "Disorders": "#fbd3cd",
    "Chemicals & Drugs": "#d3e5fb",
    "Procedures": "#d9f0d3",
    "Anatomy": "#f4e3c1",
}
OTHER_COLOR = "#e6e2f1"
MARK = (
    '<mark class="{state}" style="background:{bg}" title="{details}"><span>{text}</span> '
    "<b>{label}</b>{modifiers}</mark>"
)
STYLE = """<style>
.clinner { font: 15px/2 system-ui, sans-serif; max-width: 60rem; color: #222; }
.clinner h3 { font-size: 1rem; line-height: 1.4; margin: 1rem 0 .2rem; color: #345; }
.clinner mark { padding: .15em .35em; border-radius: .35em; color: inherit; }
.clinner mark b { font-size: .62em; }
.clinner mark i { font-size: .68em; font-style: normal; opacity: .75; }
.clinner mark.absent span { text-decoration: line-through; text-decoration-thickness: 1.5px; }
.clinner mark.possible { outline: 1.5px dotted #555; }
.clinner mark.other { opacity: .65; }
</style>"""
PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
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
    layer (str | None): The span group to show, without overlaps; `doc.ents` if None.
    page (bool): A whole HTML page instead of a fragment.
    jupyter (bool | None): Display it in a notebook; None finds out whether this is one.
    RETURNS (str | None): The HTML; None where it was displayed.
    """
    spans = list(doc.ents) if layer is None else list(doc.spans.get(layer, ()))
    parts = [_section(doc, title, start, end, spans) for title, start, end in _sections(doc)]
    body = f'{STYLE}<div class="clinner">{"".join(parts)}</div>'
    if page:
        return PAGE.format(title="clinner", body=body)
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
    ents = [
        {
            "start": span.start_char - start,
            "end": span.end_char - start,
            "label": span.label_,
            "params": _params(span),
        }
        for span in spans
        if start <= span.start_char and span.end_char <= end
    ]
    colors = {span.label_: _color(span) for span in spans}
    html: str = displacy.render(
        {"text": doc.text[start:end], "ents": ents, "title": None},
        style="ent",
        manual=True,
        page=False,
        jupyter=False,
        options={"template": MARK, "colors": colors},
    )
    name = "" if title is None else escape(title.replace("_", " ").capitalize())
    heading = f"<h3>{name}</h3>" if name else ""
    return heading + html


def _color(span: Span) -> str:
    own: str | None = store.values(span).get("color")
    return own or COLORS.get(said.get_semantic_group(span) or "", OTHER_COLOR)


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
    details += [name for name in ("historical", "hypothetical") if getattr(judged, name)]
    if judged.experiencer not in (None, "patient"):
        details.append(f"of {judged.experiencer}")
    return [*details, *judged.evidence]
