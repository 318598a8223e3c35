"""Which notes are learned from, and on which others a model is calibrated."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from spacy.tokens import Doc

from spacy_clinner.training.distillation import labels_by_layer


@dataclass(frozen=True)
class Split:
    """Notes to learn from, and notes of which nothing was learned."""

    train: Sequence[Doc]
    held_out: Sequence[Doc]


def fold(learned: Sequence[Doc], notes: Sequence[Doc], folds: int, part: int) -> Split:
    """Hold out one of the parts of the notes.

    learned (Sequence[Doc]): The notes as they are learned from.
    notes (Sequence[Doc]): The same notes, with the spans of annotators alone.
    folds (int): In how many parts they are cut.
    part (int): The part to hold out, from 0 on.
    RETURNS (Split): The notes.
    """
    return _without(learned, notes, range(part, len(notes), folds))


def hold_out(learned: Sequence[Doc], notes: Sequence[Doc], parts: int) -> Split:
    """Hold out every so-manieth note, or its neighbour where it alone has a label, which could
    not be learned then, as far as there are notes without such a label.

    learned (Sequence[Doc]), notes (Sequence[Doc]): As `fold` takes them.
    parts (int): In how many parts they are cut, one of which is held out.
    RETURNS (Split): The notes.
    """
    labels = [
        {(layer, name) for layer, names in labels_by_layer([doc]).items() for name in names}
        for doc in notes
    ]
    left = Counter(chain.from_iterable(labels))
    wanted = range(0, len(notes), parts)
    held: list[int] = []
    for at in sorted(range(len(notes)), key=lambda at: at % parts):
        if len(held) < len(wanted) and all(left[label] > 1 for label in labels[at]):
            held.append(at)
            left.subtract(labels[at])
    # Few that say little would be worse to calibrate on than a label is that one note has.
    further = sorted(set(wanted).difference(held), key=lambda at: not labels[at])
    return _without(learned, notes, [*held, *further[: len(wanted) - len(held)]])


def _without(learned: Sequence[Doc], notes: Sequence[Doc], held: Iterable[int]) -> Split:
    out = {*held}
    kept = [doc for at, doc in enumerate(learned) if at not in out]
    return Split(kept, [notes[at] for at in sorted(out)])
