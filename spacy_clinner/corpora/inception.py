"""INCEpTION: CAS in UIMA's JSON or XMI, by dkpro-cassis, and the layers of a project."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_clinner.corpora.annotators import Annotated, of_project
from spacy_clinner.corpora.checks import RESULT_LEFT_OUT, Annotation, flag_duplicate_ids, unresolved
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Problem, Relation
from spacy_clinner.corpora.suggestions import ASSERTION, ASSERTIONS, LINK, Palette, Suggestion
from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from cassis import Cas

SPAN, RELATION = "webanno.custom.ClinnerSpan", "webanno.custom.ClinnerLink"
STRING, ANNOTATION = "uima.cas.String", "uima.tcas.Annotation"
SEGMENTS = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type."
METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type."
# Types that every document has, and that annotate nothing.
PLAIN = ("uima.", SEGMENTS, METADATA, "de.tudarmstadt.ukp.clarin.webanno.api.type.")
# What a feature that holds the label of a span may be called, the first that is there.
LABELS = ("label", "value", "identifier", "category")
ENDS = ("Governor", "Dependent")
# The settings of a project, beside its documents.
PROJECT = "exportedproject"


def read_inception(path: Path) -> Iterator[Note]:
    """Read what INCEpTION exports as UIMA CAS: JSON, or XMI with its type system.

    Every annotation of a custom layer is a span, with its label from the feature `label` or
    `value`, or else the only one that holds a word, or the name of the layer; its other features
    are attributes. Relation layers are relations.

    path (Path): A file (`.json`, `.xmi` or `.zip`), or a folder of them at any depth.
    YIELDS (Note): One per document; its id is the title of the document.
    RAISES (ClinnerError): A file cannot be read, or dkpro-cassis is not installed.
    """
    return flag_duplicate_ids(note for _, note in inception_by_annotator(path))


def inception_by_annotator(path: Path) -> Iterator[Annotated]:
    """Read what INCEpTION exports of a project: for each document a folder, with a file for each
    annotator, `annotation/note.txt/anna.json`, and for who curated, `CURATION_USER.json`.

    path (Path): As `read_inception` takes it.
    YIELDS (tuple[str | None, Note]): As `of_project`.
    RAISES (ClinnerError): As `read_inception`.
    """
    if not path.exists():
        raise ClinnerError(f"{path}: missing.")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _is_cas(p))
    found = [named for file in files for named in _read(file)]
    if not found:
        raise ClinnerError(
            f"{path}: no CAS there. Export from INCEpTION as UIMA CAS JSON or XMI, and unpack what "
            f"it exports of a project."
        )
    yield from of_project(found)


def _read(file: Path) -> Iterator[tuple[Path, Note]]:
    try:
        for name, cas in _loaded(file):
            yield name, note_of(cas, file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile,
            SyntaxError, _cassis().typesystem.TypeNotFoundError) as error:  # fmt: skip
        raise ClinnerError(
            f"{file}: no CAS that can be read ({type(error).__name__}). Export it again as "
            f"UIMA CAS JSON or XMI."
        ) from None


def _is_cas(path: Path) -> bool:
    settings = path.name == LAYERS or path.name.startswith(PROJECT)
    return path.suffix in (".json", ".xmi", ".zip") and not settings


def _loaded(file: Path) -> Iterator[tuple[Path, "Cas"]]:
    """The documents in a file, each with its path, in a zip the path of what is in there."""
    cassis = _cassis()
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            xml = next((n for n in names if n.lower().endswith("typesystem.xml")), None)
            types = xml and cassis.load_typesystem(io.BytesIO(archive.read(xml)))
            for name in filter(_is_cas, map(Path, names)):
                data = io.BytesIO(archive.read(name.as_posix()))
                # A document's folder may hold a zip for each annotator, with the name of this one.
                place = name if name.parent.name else file.with_name(name.name)
                if name.suffix == ".xmi":
                    yield place, cassis.load_cas_from_xmi(data, typesystem=types)
                elif name.suffix == ".json":
                    yield place, cassis.load_cas_from_json(data)
    elif file.suffix == ".xmi":
        beside = file.with_name("TypeSystem.xml")
        with beside.open("rb") as types_file, file.open("rb") as data_file:
            types = cassis.load_typesystem(types_file)
            yield file, cassis.load_cas_from_xmi(data_file, typesystem=types)
    else:
        with file.open("rb") as data_file:
            yield file, cassis.load_cas_from_json(data_file)


def note_of(cas: "Cas", file: Path) -> Note:
    """The note of a CAS.

    cas (Cas): The document.
    file (Path): Its file, for reports.
    RETURNS (Note): The note.
    """
    found = [a for a in cas.select_all_annotations() if not str(a.type.name).startswith(PLAIN)]
    spans: list[NoteSpan] = []
    attributes: list[Attribute] = []
    problems: list[Problem] = []
    ids: dict[int, str] = {}
    text = str(cas.sofa_string or "")
    links = [a for a in found if all(_has(a, end) for end in ENDS)]
    for annotation in sorted(
        (a for a in found if a not in links and _has(a, "begin")), key=lambda a: (a.begin, a.end)
    ):
        features = _features(annotation)
        name = next((n for n in LABELS if n in features), None)
        if name is None and len(features) == 1:
            (name,) = features
        label = features.pop(name) if name else str(annotation.type.name).rsplit(".", 1)[-1]
        if annotation.begin >= annotation.end:
            problems.append(Problem(str(file), RESULT_LEFT_OUT))
            continue
        span = NoteSpan(f"T{len(spans) + 1}", label, ((annotation.begin, annotation.end),))
        spans.append(span)
        ids[annotation.xmiID] = span.id
        for key, value in features.items():
            attributes.append(Attribute(f"A{len(attributes) + 1}", key, span.id, value))
    relations: list[Relation] = []
    for link in links:
        head, tail = (getattr(link, end) for end in ENDS)
        head, tail = (ids.get(getattr(end, "xmiID", -1), "") for end in (head, tail))
        label = next(iter(_features(link).values()), "relation")
        relations.append(Relation(f"R{len(relations) + 1}", label, head, tail))
    where = str(file)
    annotations: list[Annotation] = [*spans, *attributes, *relations]
    lost = unresolved((where, annotation) for annotation in annotations)
    return Note(
        _title(cas) or file.stem,
        text,
        tuple(spans),
        tuple(relations),
        tuple(attributes),
        source=where,
        problems=(*problems, *lost),
    )


def _title(cas: "Cas") -> str | None:
    for annotation in cas.select_all_annotations():
        if str(annotation.type.name).startswith(METADATA) and _has(annotation, "documentTitle"):
            title = annotation.documentTitle
            return str(title).removesuffix(".json").removesuffix(".xmi").removesuffix(".txt")
    return None


def _features(annotation: Any) -> dict[str, str]:
    """The features of an annotation that hold a word."""
    names = (
        feature.name for feature in annotation.type.all_features if feature.rangeType.name == STRING
    )
    values = {name: getattr(annotation, name) for name in names}
    return {name: str(value) for name, value in values.items() if value}


def _has(annotation: Any, feature: str) -> bool:
    return getattr(annotation, feature, None) is not None


LAYERS = "layers.json"


def write_cas(suggestions: Iterable[Suggestion], folder: Path) -> None:
    """Write documents with what is suggested for them, as UIMA CAS JSON.

    suggestions (Iterable[Suggestion]): What is suggested.
    folder (Path): The folder, which gets a file for each.
    RAISES (ClinnerError): dkpro-cassis is not installed.
    """
    cassis = _cassis()
    types = cassis_types()
    for at, suggestion in enumerate(suggestions, 1):
        cas = cas_of(suggestion, types)
        cas.to_json(
            folder / f"{at:05}.json", type_system_mode=cassis.typesystem.TypeSystemMode.MINIMAL
        )


def cassis_types() -> Any:
    """The types of DKPro Core, and those of our two layers."""
    resource = files("cassis.resources") / "dkpro-core-types.xml"
    with resource.open("rb") as file:
        types = _cassis().load_typesystem(file)
    meta = types.create_type(f"{METADATA}DocumentMetaData", "uima.tcas.DocumentAnnotation")
    for name in ("documentTitle", "documentId"):
        types.create_feature(meta, name, STRING)
    span_type = types.create_type(SPAN, ANNOTATION)
    for name in ("label", ASSERTION):
        types.create_feature(span_type, name, STRING)
    link_type = types.create_type(RELATION, ANNOTATION)
    types.create_feature(link_type, "label", STRING)
    for name in ENDS:
        types.create_feature(link_type, name, ANNOTATION)
    return types


def cas_of(suggestion: Suggestion, types: Any) -> "Cas":
    """A document with what is suggested for it.

    suggestion (Suggestion): What is suggested.
    types (TypeSystem): As `cassis_types` gives them.
    RETURNS (Cas): The document.
    """
    span_type, link_type = types.get_type(SPAN), types.get_type(RELATION)
    token, sentence = (types.get_type(f"{SEGMENTS}{name}") for name in ("Token", "Sentence"))
    meta = types.get_type(f"{METADATA}DocumentMetaData")
    note = suggestion.note
    cas: Cas = _cassis().Cas(typesystem=types, sofa_string=note.text, sofa_mime="text/plain")
    cas.add(meta(begin=0, end=len(note.text), documentTitle=note.id, documentId=note.id))
    for kind, places in ((sentence, suggestion.sentences), (token, suggestion.tokens)):
        for start, end in places:
            cas.add(kind(begin=start, end=end))
    said = {attribute.target: attribute.value for attribute in note.attributes}
    made = {}
    for span in note.spans:
        known: dict[str, Any] = {"label": span.label, ASSERTION: said.get(span.id)}
        made[span.id] = span_type(begin=span.start, end=span.end, **known)
        cas.add(made[span.id])
    for link in note.relations:
        head, tail = made[link.head], made[link.tail]
        # INCEpTION anchors a relation where its dependent is.
        made_link = link_type(
            begin=tail.begin, end=tail.end, label=link.label, Governor=head, Dependent=tail
        )
        cas.add(made_link)
    return cas


def layers(palette: Palette) -> list[dict[str, Any]]:
    """The layers of a project, for Settings, Layers, Import.

    palette (Palette): What annotators choose from.
    RETURNS (list[dict[str, Any]]): As INCEpTION exports layers.
    """
    labels = _feature("label", _tags("clinner labels", palette.labels))
    assertion = _feature(ASSERTION, _tags("clinner assertions", ASSERTIONS))
    found = [_layer(SPAN, "Clinner", "span", [labels, assertion])]
    if palette.pairs:
        link = _feature("label", _tags("clinner links", [LINK]))
        attached = {"attach_type": {"name": SPAN, "project_name": None}}
        found.append(_layer(RELATION, "Clinner link", "relation", [link]) | attached)
    return found


def _layer(name: str, shown: str, kind: str, features: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "uiName": shown,
        "type": kind,
        "features": features,
        "description": None,
        "enabled": True,
        "built_in": False,
        "readonly": False,
        "attach_type": None,
        "attach_feature": None,
        "allow_stacking": True,
        "cross_sentence": True,
        "show_hover": True,
        "anchoring_mode": "TOKENS",
        "overlap_mode": "ANY_OVERLAP",
        "validation_mode": "NEVER",
        "lock_to_token_offset": False,
        "multiple_tokens": True,
        "linked_list_behavior": False,
        "on_click_javascript_action": None,
        "traits": None,
    }


def _feature(name: str, tags: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "uiName": name,
        "type": STRING,
        "enabled": True,
        "visible": True,
        "include_in_hover": False,
        "required": False,
        "remember": False,
        "curatable": True,
        "description": None,
        "tag_set": tags,
        "multi_value_mode": "NONE",
        "link_mode": "NONE",
        "link_type_name": None,
        "link_type_role_feature_name": None,
        "link_type_target_feature_name": None,
        "traits": None,
    }


def _tags(name: str, values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": None,
        "language": "en",
        "create_tag": False,
        "tags": [{"tag_name": value, "tag_description": None} for value in values],
    }


def _cassis() -> Any:
    try:
        import cassis
    except ImportError:
        raise ClinnerError(
            "INCEpTION's files need dkpro-cassis, which is not installed. Install it with: "
            'pip install "spacy-clinner[inception]"'
        ) from None
    return cassis
