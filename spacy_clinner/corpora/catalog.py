from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt

from spacy_clinner import schemes
from spacy_clinner.corpora.checks import only_listed
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml
from spacy_clinner.validation import checked

SPLITS = ("train", "dev", "test")
# A corpus that is a list of others has this one key.
OF = "of"


def _split_among(allowed: tuple[str, ...]) -> AfterValidator:
    def known(split: str) -> str:
        if split not in allowed:
            raise ValueError(f"has the unknown split {split!r}. Known: {', '.join(allowed)}")
        return split

    return AfterValidator(known)


class Entry(BaseModel, extra="forbid", strict=True):
    """An entry of the catalog as its file has it, explained in `configs/corpora.toml`."""

    format: str = Field(min_length=1)
    layers: list[str] = Field(min_length=1)
    view: str | None = None
    labels: list[str] = []
    leave_out: list[str] = []
    annotator: str | None = None
    train: list[str] = Field(min_length=1)
    dev: list[str] = []
    test: list[str] = []
    ids: dict[Annotated[str, _split_among(SPLITS)], str] = Field(
        {}, description='must give each split a file, { train = "..." }'
    )
    holdout: dict[Annotated[str, _split_among(SPLITS[1:])], NonNegativeInt] = Field(
        {}, description="must give each split a number of notes, { dev = 10 }"
    )


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
    labels (tuple[str, ...]): The labels of its layers that it annotates; () for all of them.
    leave_out (frozenset[str]): The ids of notes that are not to be used.
    annotator (str | None): Whose annotations count, where files hold those of several.
    of (tuple[Corpus, ...]): The corpora that it is made of, if it has no notes of its own.
    """

    name: str
    format: str
    schemes: tuple[schemes.Scheme, ...]
    paths: Mapping[str, tuple[Path, ...]]
    holdout: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Path] = field(default_factory=dict)
    view: str | None = None
    labels: tuple[str, ...] = ()
    leave_out: frozenset[str] = frozenset()
    annotator: str | None = None
    of: tuple["Corpus", ...] = ()

    @property
    def parts(self) -> tuple["Corpus", ...]:
        """The corpora that hold the notes: those it is made of, or itself."""
        return self.of or (self,)


def find_corpus(name: str, catalog: Path) -> Corpus:
    """The corpus of that name in a catalog.

    name (str): Its name. Only its own entry is looked at: a mistake in another one does not matter
        here.
    catalog (Path): A TOML file, laid out as `configs/corpora.toml` explains at its top.
    RETURNS (Corpus): The corpus.
    RAISES (ClinnerError): The file is missing or not valid, lacks the name, or the entry is wrong.
    """
    entries = read_toml(
        catalog,
        "no such catalog of corpora. Name yours with --catalog, or run this in the folder of the "
        "project.",
    )
    if name not in entries:
        raise ClinnerError(f"{catalog}: no corpus {name!r}. Known: {', '.join(sorted(entries))}.")
    return _corpus(catalog, name, entries)


def _corpus(path: Path, name: str, entries: Mapping[str, Any]) -> Corpus:
    entry = entries[name]
    if isinstance(entry, dict) and OF in entry:
        _check_of(f"{path}: [{name}]", entry, entries)
        return Corpus(name, "", (), {}, of=tuple(_corpus(path, n, entries) for n in entry[OF]))
    found = checked(Entry, entry, f"{path}: [{name}]")
    return Corpus(
        name,
        found.format,
        tuple(schemes.load(layer) for layer in found.layers),
        {split: tuple(map(Path, getattr(found, split))) for split in SPLITS},
        found.holdout,
        {split: Path(ids) for split, ids in found.ids.items()},
        found.view,
        tuple(found.labels),
        frozenset(found.leave_out),
        found.annotator,
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


def read_splits(corpus: Corpus) -> Iterator[tuple[str, Note]]:
    """Every note of a corpus with its split, held-out notes already moved.

    corpus (Corpus): The corpus.
    YIELDS (tuple[str, Note]): "train", "dev" or "test" and the note.
    RAISES (ClinnerError): A file is missing or cannot be read, or none has a note that is to be
        left out.
    """
    unknown = set(corpus.leave_out)
    for split in SPLITS:
        found = chain.from_iterable(
            read(path, corpus.format, corpus.annotator) for path in corpus.paths[split]
        )
        listed = corpus.ids.get(split)
        # The list is of the split, which may be several files.
        chosen = found if listed is None else only_listed(found, listed)
        given = list(chosen)
        unknown.difference_update(note.id for note in given)
        notes = [_storable(note) for note in given if note.id not in corpus.leave_out]
        held = _held_out(notes, corpus) if split == "train" else {}
        for note in notes:
            yield held.get(note.id, split), note
    if unknown:
        raise ClinnerError(
            f"{corpus.name}: leave_out of the catalog names {min(unknown)!r}, which is the id of "
            f"none of its notes."
        )


def _storable(note: Note) -> Note:
    """With an id that DocBin can store: JSON may hold half of a surrogate pair, UTF-8 cannot."""
    name = note.id.encode("utf8", "replace").decode("utf8")
    return note if name == note.id else replace(note, id=name)


def _held_out(notes: list[Note], corpus: Corpus) -> dict[str, str]:
    ids = {note.id for note in notes if note.annotated}
    unused = sorted(ids, key=lambda i: sha256(i.encode()).hexdigest())
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
