from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from spacy_clinner import schemes
from spacy_clinner.corpora.checks import only_listed
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml

SPLITS = ("train", "dev", "test")
KEYS = ("format", "layers", "view", *SPLITS, "ids", "holdout")
# A corpus that is a list of others has this one key.
OF = "of"


@dataclass(frozen=True)
class Corpus:
    """One entry of the catalog.

    name (str): Its name, and the folder under `corpus/` that conversion writes.
    format (str): A format of `spacy_clinner.corpora.formats`.
    schemes (tuple[Scheme, ...]): The layers it annotates, in order; the first gives `doc.ents`.
    paths (dict[str, tuple[Path, ...]]): Split to files or folders.
    holdout (dict[str, int]): How many notes of train become test and dev.
    ids (dict[str, Path]): Split to a file of the note ids that it takes from its paths.
    view (str | None): The view of the schemes to apply.
    of (tuple[Corpus, ...]): The corpora that it is made of, if it has no notes of its own.
    """

    name: str
    format: str
    schemes: tuple[schemes.Scheme, ...]
    paths: Mapping[str, tuple[Path, ...]]
    holdout: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Path] = field(default_factory=dict)
    view: str | None = None
    of: tuple["Corpus", ...] = ()

    @property
    def parts(self) -> tuple["Corpus", ...]:
        """The corpora that hold the notes: those it is made of, or itself."""
        return self.of or (self,)


def read_catalog(path: Path) -> dict[str, Corpus]:
    """Read a catalog of corpora.

    path (Path): A TOML file, laid out as `configs/corpora.toml` explains at its top.
    RETURNS (dict[str, Corpus]): The corpora by name.
    RAISES (ClinnerError): The file is missing or not valid, or an entry is not.
    """
    entries = _entries(path)
    return {name: _corpus(path, name, entries) for name in entries}


def find_corpus(name: str, catalog: Path) -> Corpus:
    """The corpus of that name in a catalog; an unknown name raises `ClinnerError`.

    Only its own entry is looked at: a mistake in another one does not matter here.
    """
    entries = _entries(catalog)
    if name not in entries:
        raise ClinnerError(f"{catalog}: no corpus {name!r}. Known: {', '.join(sorted(entries))}.")
    return _corpus(catalog, name, entries)


def _entries(path: Path) -> dict[str, Any]:
    return read_toml(
        path,
        "no such catalog of corpora. Name yours with --catalog, or run this in the folder of the "
        "project.",
    )


def _corpus(path: Path, name: str, entries: Mapping[str, Any]) -> Corpus:
    entry = entries[name]
    if isinstance(entry, dict) and OF in entry:
        _check_of(f"{path}: [{name}]", entry, entries)
        return Corpus(name, "", (), {}, of=tuple(_corpus(path, n, entries) for n in entry[OF]))
    _check(f"{path}: [{name}]", entry)
    return Corpus(
        name,
        entry["format"],
        tuple(schemes.load(layer) for layer in entry["layers"]),
        {split: tuple(map(Path, entry.get(split, ()))) for split in SPLITS},
        entry.get("holdout", {}),
        {split: Path(ids) for split, ids in entry.get("ids", {}).items()},
        entry.get("view"),
    )


def _check_of(where: str, entry: Mapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Stop at a list of corpora that has the wrong shape or names what is no plain corpus."""
    named = entry[OF]
    if len(entry) > 1 or not isinstance(named, list) or not named:
        raise ClinnerError(f'{where}: a corpus made of others has one key, {OF} = ["...", "..."].')
    plain = [n for n, e in entries.items() if not (isinstance(e, dict) and OF in e)]
    if wrong := [name for name in named if name not in plain]:
        raise ClinnerError(
            f"{where}: {OF} names {wrong[0]!r}, which is no corpus with notes of its own. "
            f"Known: {', '.join(sorted(plain))}."
        )


def _check(where: str, entry: Any) -> None:
    """Stop at an entry of the wrong shape."""
    if not isinstance(entry, dict):
        raise ClinnerError(f"{where} is not a table; write its keys under a line [name].")
    missing = [key for key in ("format", "layers", "train") if not entry.get(key)]
    if missing:
        raise ClinnerError(f"{where} needs {', '.join(missing)}.")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise ClinnerError(f"{where} has the unknown key {unknown[0]!r}. Known: {', '.join(KEYS)}.")
    for key in ("format", "view"):
        if not isinstance(entry.get(key, ""), str):
            raise ClinnerError(f'{where}: {key} must be a string, {key} = "...".')
    for key in ("layers", *SPLITS):
        value = entry.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ClinnerError(f'{where}: {key} must be a list of strings, {key} = ["..."].')
    for key, splits, kind, example in (
        ("ids", SPLITS, str, 'a file, { train = "..." }'),
        ("holdout", SPLITS[1:], int, "a number of notes, { dev = 10 }"),
    ):
        table = entry.get(key, {})
        if not isinstance(table, dict):
            raise ClinnerError(f"{where}: {key} must give each split {example}.")
        for split, value in table.items():
            if split not in splits:
                raise ClinnerError(
                    f"{where}: {key} has the unknown split {split!r}. Known: {', '.join(splits)}."
                )
            if type(value) is not kind or (isinstance(value, int) and value < 0):
                raise ClinnerError(f"{where}: {key} must give each split {example}.")


def read_splits(corpus: Corpus) -> Iterator[tuple[str, Note]]:
    """Every note of a corpus with its split, held-out notes already moved.

    corpus (Corpus): The corpus.
    YIELDS (tuple[str, Note]): "train", "dev" or "test" and the note.
    RAISES (ClinnerError): A file is missing or cannot be read.
    """
    for split in SPLITS:
        found = chain.from_iterable(read(path, corpus.format) for path in corpus.paths[split])
        listed = corpus.ids.get(split)
        # The list is of the split, which may be several files.
        notes = [_storable(n) for n in (found if listed is None else only_listed(found, listed))]
        held = _held_out(notes, corpus) if split == "train" else {}
        for note in notes:
            yield held.get(note.id, split), note


def _storable(note: Note) -> Note:
    """With an id that DocBin can store: JSON may hold half of a surrogate pair, UTF-8 cannot."""
    name = note.id.encode("utf8", "replace").decode("utf8")
    return note if name == note.id else replace(note, id=name)


def _held_out(notes: list[Note], corpus: Corpus) -> dict[str, str]:
    unused = sorted({note.id for note in notes}, key=lambda i: sha256(i.encode()).hexdigest())
    if sum(corpus.holdout.values()) >= len(unused) > 0:
        raise ClinnerError(
            f"{corpus.name}: holdout asks for {sum(corpus.holdout.values())} of the "
            f"{len(unused)} training notes; lower it in the catalog."
        )
    held = {}
    for split in ("test", "dev"):
        count = corpus.holdout.get(split, 0)
        held.update(dict.fromkeys(unused[:count], split))
        unused = unused[count:]
    return held
