"""Notes to leave out: what nobody annotated, and texts that a corpus or a mixture has twice."""

from collections.abc import Iterable, Iterator, Mapping

from spacy_clinner.corpora.alignment import Loss
from spacy_clinner.corpora.checks import NO_ANNOTATION
from spacy_clinner.corpora.note import Note

NOTE = "duplicate note"
UNANNOTATED = f"note left out: {NO_ANNOTATION}"
SCORED_FIRST = ("test", "dev", "train")


def drop_unannotated(
    notes: Iterable[tuple[str, Note]], losses: list[Loss]
) -> Iterator[tuple[str, Note]]:
    """The notes that somebody annotated: of others nobody said that nothing is in them.

    notes (Iterable[tuple[str, Note]]): Split and note.
    losses (list[Loss]): A line is appended for every note left out.
    YIELDS (tuple[str, Note]): Split and note, in the given order.
    """
    for split, note in notes:
        if note.annotated:
            yield split, note
        else:
            losses.append(Loss(note.id, note.source, None, None, None, None, "", UNANNOTATED))


def text_key(note: Note) -> str:
    """What makes a note's text the same as another's: all but white space and case."""
    return "".join(note.text.casefold().split())


def scored_texts(notes: Iterable[tuple[str, Note]]) -> dict[str, str]:
    """The texts that some corpus of a mixture scores.

    notes (Iterable[tuple[str, Note]]): Split and note, of all the corpora.
    RETURNS (dict[str, str]): "test" or "dev" for each text that is in it, by `text_key`.
    """
    notes = list(notes)
    of_split = {split: [note for s, note in notes if s == split] for split in ("dev", "test")}
    return {text_key(note): split for split, found in of_split.items() for note in found}


def drop_duplicates(
    notes: Iterable[tuple[str, Note]],
    losses: list[Loss],
    elsewhere: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Note]]:
    """Each text once; texts that differ only in white space and case are the same (MTSamples
    holds tokenised copies of four of its notes, two of them in the other split). Nothing else is
    ignored: "< 0.1" is not "> 0.1", and 1.5 is not 15.

    One that is labelled once for one label and once for another counts as two.

    A text that stands in two splits stays in test rather than dev, and in dev rather than train:
    what is scored must not have been trained on, and must not shrink.

    notes (Iterable[tuple[str, Note]]): Split and note.
    losses (list[Loss]): A line is appended for every note left out.
    elsewhere (Mapping[str, str] | None): Texts that are scored in a corpus of the same mixture, as
        `scored_texts` gives them. In one split, two corpora may each annotate a text in layers of
        their own.
    YIELDS (tuple[str, Note]): Split and note, in the given order.
    """
    given = list(notes)
    texts = [text_key(note) for _, note in given]
    first: dict[str, int] = {}
    for at in sorted(range(len(given)), key=lambda at: SCORED_FIRST.index(given[at][0])):
        first.setdefault(texts[at], at)
    same: dict[tuple[str, tuple[str, ...] | None], int] = {}
    for at, (split, note) in enumerate(given):
        there = given[first[texts[at]]][0]
        other = (elsewhere or {}).get(texts[at], split)
        if there != split:
            kept_in, kept_id = there, given[first[texts[at]]][1].id
        elif SCORED_FIRST.index(other) < SCORED_FIRST.index(split):
            kept_in, kept_id = f"{other} of another corpus", ""
        elif (kept := same.setdefault((texts[at], note.labels), at)) != at:
            kept_in, kept_id = split, given[kept][1].id
        else:
            yield split, note
            continue
        reason = f"{NOTE}: left out of {split}, same text as one in {kept_in}"
        losses.append(Loss(note.id, note.source, None, None, None, None, kept_id, reason))
