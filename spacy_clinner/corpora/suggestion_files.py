"""Suggestions as the files that each tool imports, with the configuration that it needs."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spacy_clinner.corpora import doccano, inception, inception_layers, label_studio, prodigy
from spacy_clinner.corpora.brat import write_brat
from spacy_clinner.corpora.jsonl import read_jsonl, write_jsonl
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.note_files import file_names
from spacy_clinner.corpora.standoff import brat_label, brat_names
from spacy_clinner.corpora.suggestions import ASSERTION, ASSERTIONS, LINK, Palette, Suggestion
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_folder, folder_written_whole

# The notes as they were suggested, to tell later what was corrected.
SUGGESTED = "suggested.jsonl"
ORDER = " First comes its folder or suggested.jsonl in it, then what the tool exported."
# By tool, what it always gets, by which it is known, and the names of all but the notes' own.
NAMES = {
    "label-studio": (["config.xml", "tasks*.json"], r"config\.xml|tasks(-\d+)?\.json"),
    "prodigy": (["command.txt", "examples.jsonl"], r"command\.txt|examples\.jsonl"),
    "doccano": (
        ["import.txt", "notes*.jsonl"],
        r"import\.txt|notes(-\d+)?\.jsonl|(labels|relations)\.json",
    ),
    "brat": (["notes/annotation.conf", "notes/*.ann"], r"notes/(annotation|visual)\.conf"),
    "inception": ([inception.LAYERS, "notes/*.json"], re.escape(inception.LAYERS)),
    "jsonl": ([], ""),
}
DOCCANO = """Create the project with "Allow overlapping spans" and "Use relation labeling".
Without them doccano keeps one of spans that overlap, and no link.
"""
# Characters of a file at most: a browser uploads it, and the tools keep it in memory.
FILE_SIZE = 20_000_000


def write_suggestions(
    suggestions: Sequence[Suggestion], palette: Palette, out: Path, tool: str, model: str
) -> list[str]:
    """Write what a tool imports.

    suggestions (Sequence[Suggestion]): What is suggested.
    palette (Palette): What annotators choose from.
    out (Path): The folder to write; only the user may read it (mode 0700, files 0600). Beside
        the files of the tool it gets `suggested.jsonl`.
    tool (str): A key of `WRITERS`.
    model (str): Name and version of the model.
    RETURNS (list[str]): The names of the files.
    RAISES (ClinnerError): As `check_output` and `check_labels`.
    """
    check_output(out, tool)
    check_labels(palette, tool)
    with folder_written_whole(out) as folder:
        # Before the first file is in it: tools' files get their own modes at the end.
        folder.chmod(0o700)
        WRITERS[tool](suggestions, palette, folder, model)
        # The last to be written: what is newer was corrected.
        write_jsonl((suggestion.note for suggestion in suggestions), folder / SUGGESTED)
        for path in folder.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        return sorted(path.name for path in folder.iterdir())


def read_suggested(path: Path) -> list[Note]:
    """Read notes as they were suggested.

    path (Path): The folder that `write_suggestions` wrote, or its `suggested.jsonl`.
    RETURNS (list[Note]): The notes.
    RAISES (ClinnerError): It is something else, such as what a tool exported.
    """
    file = path / SUGGESTED if path.is_dir() else path
    if not file.is_file():
        raise ClinnerError(f"{file}: no such file.{ORDER}")
    with file.open("rb") as lines:
        if not next(lines, b"").startswith(b'{"clinner": '):
            raise ClinnerError(f"{path}: is not what `clinner suggest` wrote.{ORDER}")
    return list(read_jsonl(file))


def check_output(out: Path, tool: str) -> None:
    """Stop before anything is suggested that could not be written.

    out (Path), tool (str): As in `write_suggestions`.
    RAISES (ClinnerError): The tool is unknown, or the folder holds something else, or corrections.
    """
    if tool not in WRITERS:
        raise ClinnerError(f"no tool {tool!r}; known are {', '.join(WRITERS)}.")
    check_folder(out, SUGGESTED)
    if (out / SUGGESTED).is_file() and (file := _of_others(out)):
        raise ClinnerError(
            f"{file}: was written since {out} was, or by somebody else, and would be lost. Name "
            f"another folder."
        )


def check_labels(palette: Palette, tool: str) -> None:
    """Stop before anything is suggested with labels that a tool cannot tell apart.

    palette (Palette): What annotators choose from.
    tool (str): A key of `WRITERS`.
    RAISES (ClinnerError): The tool would take a label for two, or two for one.
    """
    if tool == "brat":
        brat_names(palette.labels)
    parted = {"prodigy": palette.labels, "label-studio": palette.judged}.get(tool, ())
    if broken := [label for label in parted if "," in label]:
        raise ClinnerError(
            f"{tool} parts labels at commas, and {broken[0]!r} has one. Rename it, or correct in "
            f"another tool."
        )


def _of_others(out: Path) -> Path | None:
    """A file in a folder of suggestions that was not written with them, if there is any."""
    written = (out / SUGGESTED).stat().st_mtime_ns
    names = next(of for signs, of in NAMES.values() if all(any(out.glob(s)) for s in signs))
    ids = [note.id for note in read_jsonl(out / SUGGESTED)]
    own = {SUGGESTED}
    own |= {f"notes/{name}.json" for name in inception.document_names(ids)}
    own |= {f"notes/{name}{ending}" for name in file_names(ids) for ending in (".txt", ".ann")}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        known = name in own or re.fullmatch(names, name)
        if not known or path.stat().st_mtime_ns > written:
            return path
    return None


def _label_studio(
    suggestions: Sequence[Suggestion], palette: Palette, folder: Path, model: str
) -> None:
    tasks = (json.dumps(label_studio.task(suggestion, model)) for suggestion in suggestions)
    for name, lines in _in_parts(tasks, "tasks", ".json"):
        (folder / name).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="ascii")
    (folder / "config.xml").write_text(label_studio.config(palette), encoding="utf8")


def _prodigy(
    suggestions: Sequence[Suggestion],
    palette: Palette,
    folder: Path,
    model: str,  # noqa: ARG001
) -> None:
    # Prodigy reads a file line by line, however long it is.
    examples = (json.dumps(prodigy.example(suggestion)) + "\n" for suggestion in suggestions)
    (folder / "examples.jsonl").write_text("".join(examples), encoding="ascii")
    command = prodigy.command(palette, "examples.jsonl")
    (folder / "command.txt").write_text(command, encoding="utf8")


def _doccano(
    suggestions: Sequence[Suggestion],
    palette: Palette,
    folder: Path,
    model: str,  # noqa: ARG001
) -> None:
    def records() -> Iterator[str]:
        first = 1
        for suggestion in suggestions:
            yield json.dumps(doccano.record(suggestion, first))
            first += max(len(suggestion.note.spans), len(suggestion.note.relations))

    for name, lines in _in_parts(records(), "notes", ".jsonl"):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="ascii")
    (folder / "import.txt").write_text(DOCCANO, encoding="ascii")
    for name, labels in zip(("labels", "relations"), doccano.labels(palette), strict=True):
        (folder / f"{name}.json").write_text(json.dumps(labels, indent=1), encoding="ascii")


def _brat(
    suggestions: Sequence[Suggestion],
    palette: Palette,
    folder: Path,
    model: str,  # noqa: ARG001
) -> None:
    notes = (suggestion.note for suggestion in suggestions)
    write_brat(notes, folder / "notes", palette.labels)
    (folder / "notes/annotation.conf").write_text(annotation_conf(palette), encoding="utf8")
    colors = [
        f"{brat_label(label)}\tbgColor:{color}, fgColor:black"
        for label, color in palette.colors.items()
    ]
    drawing = ["[labels]", "[drawing]", "SPAN_DEFAULT\tborderColor:darken", *colors]
    (folder / "notes/visual.conf").write_text("\n".join(drawing) + "\n", encoding="utf8")


def annotation_conf(palette: Palette) -> str:
    """brat's configuration of labels.

    palette (Palette): What annotators choose from.
    RETURNS (str): The content of `annotation.conf`.
    """

    def any_of(labels: Iterable[str]) -> str:
        return "|".join(map(brat_label, labels))

    links = [
        f"{LINK}\tArg1:{brat_label(head)}, Arg2:{any_of(tails)}"
        for head, tails in palette.pairs.items()
    ]
    said = f"{ASSERTION}\tArg:{any_of(palette.judged)}, Value:{'|'.join(ASSERTIONS)}"
    asked = [said] if palette.judged else []
    labels = map(brat_label, palette.labels)
    lines = ["[entities]", *labels, "[relations]", *links, "[events]", "[attributes]", *asked]
    return "\n".join(lines) + "\n"


def _inception(
    suggestions: Sequence[Suggestion],
    palette: Palette,
    folder: Path,
    model: str,  # noqa: ARG001
) -> None:
    notes = folder / "notes"
    notes.mkdir()
    inception.write_cas(suggestions, notes)
    layers = json.dumps(inception_layers.layers(palette), indent=1)
    (folder / inception.LAYERS).write_text(layers, encoding="ascii")


def _jsonl(suggestions: Sequence[Suggestion], palette: Palette, folder: Path, model: str) -> None:
    """Nothing beside `suggested.jsonl`, which every tool gets."""


def _in_parts(records: Iterable[str], stem: str, suffix: str) -> Iterator[tuple[str, list[str]]]:
    """Records in files that a tool can import: "tasks.json", or "tasks-1.json" and so on."""
    parts: list[list[str]] = [[]]
    size = 0
    for record in records:
        if parts[-1] and size + len(record) > FILE_SIZE:
            parts.append([])
            size = 0
        parts[-1].append(record)
        size += len(record)
    for at, part in enumerate(parts, 1):
        yield (f"{stem}{suffix}" if len(parts) == 1 else f"{stem}-{at}{suffix}"), part


Writer = Callable[[Sequence[Suggestion], Palette, Path, str], None]
WRITERS: dict[str, Writer] = {
    "label-studio": _label_studio,
    "prodigy": _prodigy,
    "doccano": _doccano,
    "brat": _brat,
    "inception": _inception,
    "jsonl": _jsonl,
}
