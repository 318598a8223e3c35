"""INCEpTION: CAS in UIMA's JSON or XMI, by dkpro-cassis."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_clinner.corpora.annotators import Annotated, of_project
from spacy_clinner.corpora.checks import (
    FEATURE_LEFT_OUT,
    RESULT_LEFT_OUT,
    Annotation,
    flag_duplicate_ids,
    unresolved,
)
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Problem, Relation
from spacy_clinner.corpora.note_files import file_names
from spacy_clinner.corpora.suggestions import ASSERTION, Suggestion
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
NUMBERS = {
    f"uima.cas.{name}"
    for name in ("Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double")
}
# Where an annotation is, and what it links.
BUILT_IN = {"begin", "end", "sofa", *ENDS}
# Beside the documents of a project, its settings, and the layers that `clinner suggest` writes;
# folders of documents as they were annotated, and as they were imported.
PROJECT, LAYERS = "exportedproject", "layers.json"
PROJECT_FOLDERS, SOURCE = ("annotation", "curation"), "source"


def read_inception(path: Path) -> Iterator[Note]:
    """Read what INCEpTION exports as UIMA CAS: JSON, or XMI with its type system.

    Every annotation of a custom layer is a span, with its label from the feature `label` or
    `value`, or else the only one of words, or the name of the layer; its other features are
    attributes, but for references to others and lists. Relation layers are relations. Documents
    as they were imported, in the folder `source` of a project, are left out.

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
    files = [path] if path.is_file() else _documents(p for p in path.rglob("*") if p.is_file())
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
    except ClinnerError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile,
            SyntaxError, _cassis().typesystem.TypeNotFoundError) as error:  # fmt: skip
        raise ClinnerError(
            f"{file}: no CAS that can be read ({type(error).__name__}). Export it again as "
            f"UIMA CAS JSON or XMI."
        ) from None


def _documents(files: Iterable[Path]) -> list[Path]:
    """Those files that are documents as somebody annotated them, not settings of a project, nor
    what was imported into it."""
    found = sorted(file for file in files if file.suffix in (".json", ".xmi", ".zip"))
    projects = {f.parents[2] for f in found if f.parent.parent.name in PROJECT_FOLDERS}
    return [
        file
        for file in found
        if not _is_settings(file.name)
        and not (file.parent.name == SOURCE and file.parent.parent in projects)
    ]


def _loaded(file: Path) -> Iterator[tuple[Path, "Cas"]]:
    """The documents in a file, each with its path, in a zip the path of what is in there."""
    cassis = _cassis()
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            xml = next((n for n in names if n.lower().endswith("typesystem.xml")), None)
            types = xml and cassis.load_typesystem(io.BytesIO(archive.read(xml)))
            for name in _documents(map(Path, names)):
                data = io.BytesIO(archive.read(name.as_posix()))
                # A document's folder may hold a zip for each annotator, with the name of this one.
                place = name if name.parent.name else file.with_name(name.name)
                if name.suffix == ".xmi":
                    if types is None:
                        raise _without_types(file)
                    yield place, cassis.load_cas_from_xmi(data, typesystem=types)
                elif name.suffix == ".json":
                    yield place, cassis.load_cas_from_json(data)
    elif file.suffix == ".xmi":
        beside = file.with_name("TypeSystem.xml")
        if not beside.is_file():
            raise _without_types(file)
        with beside.open("rb") as types_file, file.open("rb") as data_file:
            types = cassis.load_typesystem(types_file)
            yield file, cassis.load_cas_from_xmi(data_file, typesystem=types)
    else:
        with file.open("rb") as data_file:
            yield file, cassis.load_cas_from_json(data_file)


def _without_types(file: Path) -> ClinnerError:
    return ClinnerError(
        f"{file}: its TypeSystem.xml is missing. Put it beside the .xmi file, as INCEpTION exports "
        f"it, or export as UIMA CAS JSON, which has its types in it."
    )


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
    where = str(file)
    links = [a for a in found if all(_has(a, end) for end in ENDS)]
    for annotation in sorted(
        (a for a in found if a not in links and _has(a, "begin")), key=lambda a: (a.begin, a.end)
    ):
        features, left_out = _features(annotation)
        problems += [Problem(where, FEATURE_LEFT_OUT)] * left_out
        name = label_feature(_words(annotation.type))
        label = features.pop(name, "") or str(annotation.type.name).rsplit(".", 1)[-1]
        if annotation.begin >= annotation.end:
            problems.append(Problem(where, RESULT_LEFT_OUT))
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
        features, left_out = _features(link)
        label = features.pop(label_feature(_words(link.type)), "") or "relation"
        problems += [Problem(where, FEATURE_LEFT_OUT)] * (left_out + len(features))
        relations.append(Relation(f"R{len(relations) + 1}", label, head, tail))
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
            title = str(annotation.documentTitle)
            # What was suggested has the id of its note as both, not the name of a file.
            own = _has(annotation, "documentId") and str(annotation.documentId) == title
            return title if own else document_id(title)
    return None


def document_id(name: str) -> str:
    """The id of a note, by the name of its document.

    name (str): The name, as it was imported or is exported.
    RETURNS (str): The name without its endings.
    """
    for ending in (".tsv", ".json", ".xmi", ".txt"):
        name = name.removesuffix(ending)
    return name


def label_feature(names: Sequence[str]) -> str:
    """Which feature of a layer holds the label of its spans.

    names (Sequence[str]): The features of words that the layer has.
    RETURNS (str): One of these, or "" where none can be told from the others.
    """
    found = next((name for name in LABELS if name in names), None)
    return found or (names[0] if len(names) == 1 else "")


def _words(kind: Any) -> list[str]:
    """The features of a type that are words, those of a closed list included."""
    ranges = {feature.name: feature.rangeType for feature in kind.all_features}
    return [name for name, of in ranges.items() if of.name == STRING or of.supertype.name == STRING]


def _features(annotation: Any) -> tuple[dict[str, str], int]:
    """What is said of an annotation by its features, and how many others have a value.

    A choice that is false is what all are that nobody made.
    """
    words = _words(annotation.type)
    found: dict[str, str] = {}
    lost = 0
    for feature in annotation.type.all_features:
        value = getattr(annotation, feature.name)
        if feature.name in BUILT_IN or value in (None, False, ""):
            continue
        if feature.name in words or feature.rangeType.name in NUMBERS:
            found[feature.name] = "true" if value is True else str(value)
        else:
            lost += 1
    return found, lost


def _has(annotation: Any, feature: str) -> bool:
    return getattr(annotation, feature, None) is not None


def write_cas(suggestions: Iterable[Suggestion], folder: Path) -> None:
    """Write documents with what is suggested for them, as UIMA CAS JSON.

    suggestions (Iterable[Suggestion]): What is suggested.
    folder (Path): The folder, which gets a file for each, with a name like the note's id.
    RAISES (ClinnerError): dkpro-cassis is not installed.
    """
    cassis = _cassis()
    types = cassis_types()
    mode = cassis.typesystem.TypeSystemMode.MINIMAL
    suggestions = list(suggestions)
    names = document_names(suggestion.note.id for suggestion in suggestions)
    for name, suggestion in zip(names, suggestions, strict=True):
        cas_of(suggestion, types).to_json(folder / f"{name}.json", type_system_mode=mode)


def document_names(ids: Iterable[str]) -> Iterator[str]:
    """The names of documents without their ending, as `file_names` has them, all in one folder, and
    none that would be taken for settings."""
    return file_names(
        f"note-{name}" if _is_settings(f"{name}.json") else name
        for name in (name.replace("/", "_") for name in ids)
    )


def _is_settings(name: str) -> bool:
    return name == LAYERS or name.startswith(PROJECT)


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


def _cassis() -> Any:
    try:
        import cassis
    except ImportError:
        raise ClinnerError(
            "INCEpTION's files need dkpro-cassis, which is not installed. Install it with: "
            'pip install "spacy-clinner[inception]"'
        ) from None
    return cassis
