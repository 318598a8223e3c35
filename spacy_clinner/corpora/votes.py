"""Several annotators of one note: what most of them say."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from spacy_clinner.corpora.note import Attribute, Fragment, Note, NoteSpan, Relation

K = TypeVar("K", bound=Hashable)
# In place of an annotator.
VOTE = "vote"

Key = tuple[tuple[Fragment, ...], str]


def vote(notes: Sequence[Note]) -> Note:
    """What more than half of the annotators of a note say of it.

    notes (Sequence[Note]): The same text by several annotators, at least one.
    RETURNS (Note): The spans that most of them have with the same offsets and label, and of these
        the links and attributes that most of them have.
    """
    keys = [{span.id: (span.fragments, span.label) for span in note.spans} for note in notes]
    agreed = most((of.values() for of in keys), len(notes))
    ids: dict[Key, str] = {key: f"T{at}" for at, key in enumerate(sorted(agreed), 1)}
    links = most(
        (
            [(r.label, of[r.head], of[r.tail]) for r in note.relations if {r.head, r.tail} <= {*of}]
            for note, of in zip(notes, keys, strict=True)
        ),
        len(notes),
    )
    said = most(
        (
            [(a.label, of[a.target], a.value) for a in note.attributes if a.target in of]
            for note, of in zip(notes, keys, strict=True)
        ),
        len(notes),
    )
    kept_links = [link for link in links if link[1] in ids and link[2] in ids]
    kept = [value for value in said if value[1] in ids]
    times = [note.seconds for note in notes if note.seconds is not None]
    return Note(
        notes[0].id,
        notes[0].text,
        tuple(NoteSpan(name, label, fragments) for (fragments, label), name in ids.items()),
        tuple(
            Relation(f"R{at}", label, ids[head], ids[tail])
            for at, (label, head, tail) in enumerate(kept_links, 1)
        ),
        tuple(
            Attribute(f"A{at}", label, ids[target], value)
            for at, (label, target, value) in enumerate(kept, 1)
        ),
        linked=any(note.linked for note in notes),
        seconds=sum(times) if times else None,
        source=notes[0].source,
        problems=tuple(problem for note in notes for problem in note.problems),
    )


def most(said: Iterable[Iterable[K]], voters: int) -> list[K]:
    """What more than half say.

    said (Iterable[Iterable[K]]): What each voter says.
    voters (int): How many there are.
    RETURNS (list[K]): In order of first appearance.
    """
    counts = Counter(key for of in said for key in dict.fromkeys(of))
    return [key for key, count in counts.items() if 2 * count > voters]
