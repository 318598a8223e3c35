"""Notes as others would have typed them: the augmenter of the training configs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.annotation.moving import Edit, carry_over, misplaced, moves, rewritten
from spacy_clinner.annotation.spans import all_spans
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training import rewordings

# Edits are taken back where they moved the edge of a span into a token; so often at most.
ROUNDS = 4


@dataclass(frozen=True)
class Rates:
    """How often each thing is done; the fields are those of `create_clinical_augmenter`."""

    upper: float
    lower: float
    line_breaks: float
    punctuation: float
    spacing: float
    abbreviations: float
    typos: float
    masks: float
    drugs: float


def create_clinical_augmenter(
    level: float = 0.5,
    upper: float = 0.05,
    lower: float = 0.1,
    line_breaks: float = 0.1,
    punctuation: float = 0.15,
    spacing: float = 0.15,
    abbreviations: float = 0.15,
    typos: float = 0.01,
    masks: float = 0.2,
    drugs: float = 0.3,
    seed: int = 0,
) -> Callable[[Language, Example], Iterator[Example]]:
    """Write some of the notes as others would have typed them; registered as
    `clinner.clinical_augmenter.v1`.

    All that a document annotates follows its words. What would cut a span, move its edge into a
    token or leave it with white space at an end is not done. A document that annotates tokens, as
    with tags or sentences, stays as it is.

    level (float): The share of the notes that anything is done to. Of these:
    upper (float), lower (float): The share in capitals, and in small letters.
    line_breaks (float): The share that loses its line breaks.
    punctuation (float): The share that loses commas, full stops and the like.
    spacing (float): The share with blanks too few ("fever,chills", "10mg") or too many.
    abbreviations (float): The share of the long and short forms that are exchanged ("HTN" and
        "hypertension", "increased" and "↑").
    typos (float): The share of the words with a typing error.
    masks (float): The share of dates, names and hospitals that a mask takes the place of.
    drugs (float): The share of the drugs' names that another takes the place of; the same one all
        over a note.
    seed (int): Decides what is done. Each pass over the corpus draws anew.
    RETURNS (Callable[[Language, Example], Iterator[Example]]): The augmenter; it yields one
        example for one.
    RAISES (ClinnerError): A share is not between 0 and 1.
    """
    shares = {"level": level, "upper": upper, "lower": lower, "line_breaks": line_breaks,
              "punctuation": punctuation, "spacing": spacing, "abbreviations": abbreviations,
              "typos": typos, "masks": masks, "drugs": drugs}  # fmt: skip
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ClinnerError(
                f"clinner.clinical_augmenter.v1: {name} must be a share from 0 to 1, not {share}."
            )
    rates = Rates(**{name: share for name, share in shares.items() if name != "level"})
    rng = Random(seed)

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        doc = example.reference
        new = None
        if rng.random() < level and not _annotates_tokens(doc):
            new, _ = rewrite(nlp, doc, choose_edits(doc, rates, rng))
        yield example if new is None else Example(nlp.make_doc(new.text), new)

    return augment


def choose_edits(doc: Doc, rates: Rates, rng: Random) -> list[Edit]:
    """What to write otherwise in a note.

    doc (Doc): The note.
    rates (Rates): How often each thing is done.
    rng (Random): Decides.
    RETURNS (list[Edit]): In order, without overlaps; none that an edge of a span cuts, but for
        those that change only the case.
    """
    text, spans = doc.text, list(all_spans(doc))
    edges = {place for span in spans for place in (span.start_char, span.end_char)}
    plan = rewordings.Plan(text, edges)
    plan.add(rewordings.other_drugs(spans, rates.drugs, rng))
    plan.add(rewordings.masks(text, rates.masks, rng))
    plan.add(rewordings.other_forms(text, spans, rates.abbreviations, rng))
    if rng.random() < rates.line_breaks:
        plan.add(rewordings.lost_line_breaks(text))
    if rng.random() < rates.punctuation:
        plan.add(rewordings.lost_punctuation(text, rng))
    if rng.random() < rates.spacing:
        plan.add(rewordings.other_spacing(text, rng))
    plan.add(rewordings.typing_errors(text, rates.typos, rng))
    case = rng.random()
    if case < rates.upper:
        plan.change_case(str.upper)
    elif case < rates.upper + rates.lower:
        plan.change_case(str.lower)
    return plan.edits


def rewrite(nlp: Language, doc: Doc, edits: Sequence[Edit]) -> tuple[Doc | None, Sequence[Edit]]:
    """Make edits in a note; those beside the edge of a span that would not be a token's any more
    are taken back.

    nlp (Language): The pipeline whose tokenizer to use.
    doc (Doc): The note.
    edits (Sequence[Edit]): In order, without overlaps.
    RETURNS (tuple[Doc | None, Sequence[Edit]]): A new note with all that `doc` annotates, and the
        edits that were made; None where there are none.
    """
    text = doc.text
    for _ in range(ROUNDS):
        if not edits:
            break
        move = moves(edits)
        new = nlp.make_doc(rewritten(text, edits))
        wrong = misplaced(doc, new, move)
        if not wrong:
            carry_over(doc, new, move)
            return new, edits
        words = [_word_around(text, place) for place in wrong]
        edits = [e for e in edits if not any(a <= e.end and e.start <= b for a, b in words)]
    return None, []


def _word_around(text: str, place: int) -> tuple[int, int]:
    """What stands between white space on both sides of a place."""
    start, end = place, place
    while start and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, end


def _annotates_tokens(doc: Doc) -> bool:
    """Whether a document has tags, sentences or the like, which words in other letters may not."""
    # The first token begins a sentence in any document.
    return bool(doc.to_array(["TAG", "POS", "MORPH", "LEMMA", "DEP", "SENT_START"])[1:].any())
