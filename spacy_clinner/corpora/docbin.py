"""A corpus of the catalog -> `train.spacy`, `dev.spacy`, `test.spacy` and the loss report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from spacy_clinner.annotation.said import get_relations
from spacy_clinner.corpora.alignment import LINK_TWICE, RELATION, Aligner, Loss
from spacy_clinner.corpora.catalog import SPLITS, Corpus, read_splits
from spacy_clinner.corpora.duplicates import drop_duplicates, drop_unannotated, scored_texts
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.files import written_whole
from spacy_clinner.progress import Progress, quiet
from spacy_clinner.schemes import write_schemes

# Beside the splits of a corpus: the schemes of its layers.
SCHEMES = "schemes.json"


@dataclass
class Conversion:
    """What a conversion did.

    notes, tokens, relations (Counter[str]): Written, by split.
    annotated (dict[str, Counter[str]]): Notes written, by split and layer that they annotate.
    spans (dict[str, Counter[str]]): Written, by split and "layer/LABEL".
    gold_spans, gold_relations (int): In the notes of the corpus, duplicate notes left out.
    left_out_by_view (int): Gold spans whose label the view or the scheme leaves out.
    losses (list[Loss]): What could not be kept exactly, in reading order.
    """

    notes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    annotated: dict[str, Counter[str]] = field(
        default_factory=lambda: {s: Counter() for s in SPLITS}
    )
    spans: dict[str, Counter[str]] = field(default_factory=lambda: {s: Counter() for s in SPLITS})
    gold_spans: int = 0
    gold_relations: int = 0
    left_out_by_view: int = 0
    losses: list[Loss] = field(default_factory=list)

    def losses_by_reason(self) -> dict[str, int]:
        """How many losses each reason has, the most frequent first."""
        return dict(Counter(loss.reason for loss in self.losses).most_common())

    def illegal_relations(self) -> int:
        """How many gold relations are of a pair that no scheme allows."""
        lost = sum(loss.reason in (RELATION, LINK_TWICE) for loss in self.losses)
        return self.gold_relations - sum(self.relations.values()) - lost

    def as_json(self) -> dict[str, Any]:
        """The counts, for `conversion.json`."""
        return {
            "notes": dict(self.notes),
            "annotated": {split: dict(self.annotated[split]) for split in SPLITS},
            "tokens": dict(self.tokens),
            "relations": dict(self.relations),
            "spans": {split: dict(sorted(self.spans[split].items())) for split in SPLITS},
            "gold_spans": self.gold_spans,
            "gold_relations": self.gold_relations,
            "illegal_relations": self.illegal_relations(),
            "left_out_by_view": self.left_out_by_view,
            "losses": self.losses_by_reason(),
        }


def convert(
    corpus: Corpus,
    nlp: Language,
    folder: Path,
    strict: bool = False,
    *,
    progress: Progress = quiet,
) -> Conversion:
    """Convert a corpus.

    corpus (Corpus): The corpus, from the catalog.
    nlp (Language): The pipeline whose tokenizer to use.
    folder (Path): Gets `<split>.spacy`, `losses.jsonl` (one `Loss` a line), `conversion.json`
        and `schemes.json`; each is written whole or not at all. What holds or quotes the notes
        only the user may read (mode 0600).
    strict (bool): With any loss, write `losses.jsonl` only.
    progress (Progress): Shows how far it is.
    RETURNS (Conversion): Counts and losses.
    RAISES (ClinnerError): A file cannot be read, a label is unknown, or there is no entity.
    """
    done = Conversion()
    bins = {split: DocBin(store_user_data=True) for split in SPLITS}
    notes = {
        part.name: list(drop_unannotated(read_splits(part), done.losses)) for part in corpus.parts
    }
    scored = scored_texts(chain.from_iterable(notes.values()))
    for part in corpus.parts:
        aligned = _align(part, notes[part.name], scored, nlp, done)
        for split, doc in progress(aligned, part.name):
            bins[split].add(doc)
    if not any(done.spans.values()):
        raise ClinnerError(
            f"{corpus.name}: not one entity in {sum(done.notes.values())} notes. "
            f"Look at the paths, the format and the view of its entry in the catalog."
        )
    with written_whole(folder / "losses.jsonl", private=True) as path:
        srsly.write_jsonl(path, map(asdict, done.losses))
    if strict and done.losses:
        return done
    for split in SPLITS:
        with written_whole(folder / f"{split}.spacy", private=True) as path:
            bins[split].to_disk(path)
    with written_whole(folder / "conversion.json") as path:
        srsly.write_json(path, done.as_json())
    with written_whole(folder / SCHEMES) as path:
        write_schemes(path, {s.layer: s for part in corpus.parts for s in part.schemes}.values())
    return done


def _align(
    corpus: Corpus,
    notes: Sequence[tuple[str, Note]],
    scored: Mapping[str, str],
    nlp: Language,
    done: Conversion,
) -> Iterator[tuple[str, Doc]]:
    aligner = Aligner(nlp, corpus.schemes, corpus.view, corpus.labels)
    aligner.judged = aligner.labels_judged(note for _, note in notes)
    for split, note in drop_duplicates(notes, done.losses, scored):
        doc, losses = aligner.align(note)
        done.losses.extend(losses)
        done.notes[split] += 1
        done.tokens[split] += len(doc)
        done.relations[split] += len(get_relations(doc))
        done.gold_spans += len(note.spans)
        done.gold_relations += len(note.relations)
        done.left_out_by_view += aligner.left_out(note)
        done.annotated[split].update(doc.spans.keys())
        for layer, group in doc.spans.items():
            done.spans[split].update(f"{layer}/{span.label_}" for span in group)
        yield split, doc


def without_spans(annotated: Mapping[str, int], spans: Iterable[str]) -> list[str]:
    """What to say of layers of which nothing was annotated, though they are said to be.

    annotated (Mapping[str, int]): How many notes annotate each layer.
    spans (Iterable[str]): The labels of the spans in them, as "layer/LABEL".
    RETURNS (list[str]): A line for each layer that has no span.
    """
    found = {name.split("/")[0] for name in spans}
    return [
        f"{layer}: annotated in {count} notes, and not one span in them, so that it is learned "
        f"that there is none. Take it out of `layers` if nobody looked for it"
        for layer, count in sorted(annotated.items())
        if layer not in found
    ]


def read_docs(path: Path, vocab: Vocab) -> list[Doc]:
    """Read a converted corpus.

    path (Path): A .spacy file.
    vocab (Vocab): The vocabulary of the documents.
    RETURNS (list[Doc]): The documents.
    RAISES (ClinnerError): The file is missing, or not in spaCy's format.
    """
    try:
        return list(DocBin().from_disk(path).get_docs(vocab))
    except OSError as error:
        reason = error.strerror or one_line(error)
    except (ValueError, KeyError, TypeError, IndexError):
        reason = "not a .spacy file"
    raise ClinnerError(
        f"{path}: {reason}. `clinner convert` writes it, in the project "
        f"`spacy project run convert`."
    )
