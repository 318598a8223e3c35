import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from clinner import schemes
from clinner.corpora.formats import read
from clinner.corpora.note import Note
from clinner.errors import ClinnerError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Corpus:
    """One entry of the catalog.

    name (str): Its name, and the folder under `corpus/` that conversion writes.
    format (str): A format of `clinner.corpora.formats`.
    schemes (tuple[Scheme, ...]): The layers it annotates, in order; the first gives `doc.ents`.
    paths (dict[str, tuple[Path, ...]]): Split to files or folders.
    holdout (dict[str, int]): How many notes of train become test and dev.
    ids (dict[str, Path]): Split to a file of the note ids that it takes from its paths.
    view (str | None): The view of the schemes to apply.
    """

    name: str
    format: str
    schemes: tuple[schemes.Scheme, ...]
    paths: Mapping[str, tuple[Path, ...]]
    holdout: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Path] = field(default_factory=dict)
    view: str | None = None


def read_catalog(path: Path) -> dict[str, Corpus]:
    """Read a catalog of corpora.

    path (Path): A TOML file, laid out as `configs/corpora.toml` explains at its top.
    RETURNS (dict[str, Corpus]): The corpora by name.
    RAISES (ClinnerError): The file is missing or not valid, or an entry lacks a key.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ClinnerError(f"{path}: no such catalog of corpora.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClinnerError(f"{path}: not a valid TOML file ({error}).") from None
    corpora = {}
    for name, entry in data.items():
        missing = [key for key in ("format", "layers", "train") if not entry.get(key)]
        if missing:
            raise ClinnerError(f"{path}: [{name}] needs {', '.join(missing)}.")
        corpora[name] = Corpus(
            name,
            entry["format"],
            tuple(schemes.load(layer) for layer in entry["layers"]),
            {split: tuple(map(Path, entry.get(split, ()))) for split in SPLITS},
            entry.get("holdout", {}),
            {split: Path(path) for split, path in entry.get("ids", {}).items()},
            entry.get("view"),
        )
    return corpora


def find_corpus(name: str, catalog: Path) -> Corpus:
    """The corpus of that name in a catalog; an unknown name raises `ClinnerError`."""
    corpora = read_catalog(catalog)
    if name not in corpora:
        raise ClinnerError(f"{catalog}: no corpus {name!r}. Known: {', '.join(sorted(corpora))}.")
    return corpora[name]


def read_splits(corpus: Corpus) -> Iterator[tuple[str, Note]]:
    """Every note of a corpus with its split, held-out notes already moved.

    corpus (Corpus): The corpus.
    YIELDS (tuple[str, Note]): "train", "dev" or "test" and the note.
    RAISES (ClinnerError): A file is missing or cannot be read.
    """
    for split in SPLITS:
        listed = corpus.ids.get(split)
        notes = [n for path in corpus.paths[split] for n in read(path, corpus.format, listed)]
        held = _held_out(notes, corpus) if split == "train" else {}
        for note in notes:
            yield held.get(note.id, split), note


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
