"""What annotators changed of what a model suggested."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from spacy_clinner.corpora.note import Fragment, Note
from spacy_clinner.errors import ClinnerError

OUTCOMES = ("accepted", "changed", "deleted", "added")
# Where a span is, in characters that are no white space, and its label.
Key = tuple[Fragment, str]


@dataclass
class Corrections:
    """What became of suggestions.

    notes, unchanged (int): Notes that came back, and those of them that nobody changed.
    missing (int): Notes that were suggested and did not come back, or that nobody annotated.
    spans (dict[str, Counter[str]]): By label, how many were accepted, changed (in their offsets
        or their label), deleted or added; by the label as suggested, of those added as corrected.
    changes (Counter[str]): "PROBLEM -> TEST" for each label that became another.
    links, said (Counter[str]): The same of links, and of what is asserted of spans.
    minutes (float | None): What the tool measured of these notes; None where it measures nothing.
    """

    notes: int = 0
    unchanged: int = 0
    missing: int = 0
    spans: dict[str, Counter[str]] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    minutes: float | None = None

    def total(self) -> Counter[str]:
        """RETURNS (Counter[str]): The spans of all labels."""
        return sum(self.spans.values(), Counter())

    def as_json(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The counts, without a word of any note."""
        counts = {label: _all(count) for label, count in sorted(self.spans.items())}
        return {
            "notes": self.notes,
            "unchanged": self.unchanged,
            "missing": self.missing,
            "spans": _all(self.total()),
            "by_label": counts,
            "label_changes": dict(self.changes.most_common()),
            "links": _all(self.links),
            "assertions": _all(self.said),
            "minutes": self.minutes,
        }


def _all(counts: Mapping[str, int]) -> dict[str, int]:
    return {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}


def compare(suggested: Iterable[Note], corrected: Sequence[Note]) -> Corrections:
    """Compare corrected notes with what was suggested for them.

    suggested (Iterable[Note]): `suggested.jsonl` of `clinner suggest`.
    corrected (Sequence[Note]): What the tool exported, with the same texts but for white space;
        of texts that occur often with the same ids, or in the same order.
    RETURNS (Corrections): The counts.
    RAISES (ClinnerError): Not one note came back, or the text of one is another.
    """
    done = Corrections()
    times = []
    for note, back in _pairs([*suggested], corrected):
        if back is None or not back.annotated:
            done.missing += 1
            continue
        before = (done.total(), done.links.copy(), done.said.copy())
        _count(note, back, done)
        done.notes += 1
        if back.seconds is not None:
            times.append(back.seconds)
        accepted = {"accepted"}
        changes = (done.total() - before[0], done.links - before[1], done.said - before[2])
        done.unchanged += all(change.keys() <= accepted for change in changes)
    if not done.notes:
        raise ClinnerError(
            "none of the notes that were suggested is in what came back: neither ids nor texts "
            "are the same, or nobody annotated them."
        )
    done.minutes = round(sum(times) / 60, 1) if times else None
    return done


def _pairs(suggested: Sequence[Note], corrected: Sequence[Note]) -> list[tuple[Note, Note | None]]:
    """Each note that was suggested, with what came back of it."""
    left: dict[str, dict[str, Note]] = {}
    for note in corrected:
        alike = left.setdefault(_squeezed(note.text), {})
        # Of several annotators the first counts, as where the notes are learned from.
        if note.id not in alike or not alike[note.id].annotated:
            alike[note.id] = note
    own = [left.get(_squeezed(note.text), {}).pop(note.id, None) for note in suggested]
    found = []
    for note, back in zip(suggested, own, strict=True):
        others = left.get(_squeezed(note.text))
        if back is None and others:
            back = others.pop(next(iter(others)))
        found.append((note, back))
    _check_texts([note for note, back in found if back is None], left, suggested)
    return found


def _check_texts(
    missing: Sequence[Note], left: Mapping[str, Mapping[str, Note]], suggested: Sequence[Note]
) -> None:
    """Stop where the id of a note came back with a text that was not suggested: it may be a
    number of the tool's own where the text is that of another note."""
    known = {_squeezed(note.text) for note in suggested}
    unknown = {n.id: n for text, notes in left.items() if text not in known for n in notes.values()}
    for note in missing:
        if back := unknown.get(note.id):
            raise ClinnerError(
                f"{back.source}: note {note.id} has another text than the one that was suggested."
            )


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _count(note: Note, back: Note, done: Corrections) -> None:
    given, found = _keys(note), _keys(back)
    kept = {*given.values()} & {*found.values()}
    lost = [key for key in dict.fromkeys(given.values()) if key not in kept]
    new = [key for key in dict.fromkeys(found.values()) if key not in kept]
    for _, label in kept:
        done.spans.setdefault(label, Counter())["accepted"] += 1
    became = _became(lost, new)
    for key in lost:
        outcome = "changed" if key in became else "deleted"
        done.spans.setdefault(key[1], Counter())[outcome] += 1
        if key in became and became[key][1] != key[1]:
            done.changes[f"{key[1]} -> {became[key][1]}"] += 1
    for key in {*new} - {*became.values()}:
        done.spans.setdefault(key[1], Counter())["added"] += 1
    links = {(now(h, became), now(t, became)) for h, t in _links(note, given)}
    done.links.update(_compared(links, _links(back, found)))
    said = {(now(key, became), name): value for (key, name), value in _said(note, given).items()}
    done.said.update(_compared_values(said, _said(back, found)))


def _became(lost: Sequence[Key], new: Sequence[Key]) -> dict[Key, Key]:
    """What spans became: of those that share characters, first those with the same label, then
    those that share most."""
    pairs = [(key, other) for key in lost for other in new if _shared(key, other)]
    pairs.sort(key=lambda pair: (pair[0][1] != pair[1][1], -_shared(*pair)))
    became: dict[Key, Key] = {}
    taken: set[Key] = set()
    for key, other in pairs:
        if key not in became and other not in taken:
            became[key] = other
            taken.add(other)
    return became


def now(key: Key, became: Mapping[Key, Key]) -> Key:
    """What a span is after its correction."""
    return became.get(key, key)


def _keys(note: Note) -> dict[str, Key]:
    # Some formats have other white space between sentences.
    at = [0, *accumulate(not character.isspace() for character in note.text)]
    return {span.id: ((at[span.start], at[span.end]), span.label) for span in note.spans}


def _shared(key: Key, other: Key) -> int:
    (start, end), (other_start, other_end) = key[0], other[0]
    return max(0, min(end, other_end) - max(start, other_start))


def _links(note: Note, keys: Mapping[str, Key]) -> set[tuple[Key, Key]]:
    ends = ((link.head, link.tail) for link in note.relations)
    return {(keys[h], keys[t]) for h, t in ends if h in keys and t in keys}


def _said(note: Note, keys: Mapping[str, Key]) -> dict[tuple[Key, str], str | None]:
    return {(keys[a.target], a.label): a.value for a in note.attributes if a.target in keys}


def _compared(given: set[Any], found: set[Any]) -> Counter[str]:
    return Counter(
        accepted=len(given & found), deleted=len(given - found), added=len(found - given)
    )


def _compared_values(
    given: Mapping[tuple[Key, str], str | None], found: Mapping[tuple[Key, str], str | None]
) -> Counter[str]:
    counts = _compared({*given}, {*found})
    changed = sum(given[key] != found[key] for key in given.keys() & found.keys())
    counts["changed"] = changed
    counts["accepted"] -= changed
    return counts
