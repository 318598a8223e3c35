"""Chats that a model can be tuned on, from any corpus of the catalog."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language

from spacy_clinner.corpora.alignment import Aligner, Loss
from spacy_clinner.corpora.catalog import SPLITS, Corpus, read_splits
from spacy_clinner.corpora.duplicates import drop_duplicates, drop_unannotated
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.llm.mentions import Passage
from spacy_clinner.llm.passages import Cutter
from spacy_clinner.llm.prompts.prompt_format import PromptFormat
from spacy_clinner.progress import Progress, quiet
from spacy_clinner.schemes import Scheme


@dataclass
class Instructions:
    """What was written.

    notes (Counter[str]), chats (Counter[str]), mentions (Counter[str]): By split.
    """

    notes: Counter[str] = field(default_factory=Counter)
    chats: Counter[str] = field(default_factory=Counter)
    mentions: Counter[str] = field(default_factory=Counter)


def instruct(
    corpus: Corpus,
    nlp: Language,
    folder: Path,
    prompt: PromptFormat,
    *,
    length: int = 400,
    progress: Progress = quiet,
) -> Instructions:
    """Write the chats of a corpus: `train.jsonl`, `dev.jsonl` and `test.jsonl`.

    Each line has `messages` (what to do, a passage, the right answer) and `note`, the note's id.
    The files hold text of the notes: mode 0600.

    corpus (Corpus): The corpus; each of its notes stays in its split.
    nlp (Language): The pipeline whose tokenizer to use.
    folder (Path): Gets the files, each written whole or not at all.
    prompt (PromptFormat): The format.
    length (int): The most tokens of a passage, which ends where a sentence or a section does.
    progress (Progress): Shows how far it is.
    RETURNS (Instructions): Counts.
    RAISES (ClinnerError): A file cannot be read, or the corpus has no note.
    """
    if length < 1:
        raise ClinnerError("--length must be 1 or more.")
    done = Instructions()
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    cutter = Cutter(length)
    losses: list[Loss] = []
    for part in corpus.parts:
        aligner = Aligner(nlp, part.schemes, part.view)
        layers = [_as_seen(scheme, part.view) for scheme in part.schemes]
        annotated = drop_unannotated(read_splits(part), losses)
        for split, note in progress(drop_duplicates(annotated, losses), part.name):
            doc, _ = aligner.align(note)
            done.notes[split] += 1
            for cut in cutter.cut(doc, layers):
                done.mentions[split] += len(cut.passage.mentions)
                chat = {"messages": chat_of(prompt, layers, cut.passage), "note": note.id}
                lines[split].append(json.dumps(chat, ensure_ascii=False))
    if not any(lines.values()):
        raise ClinnerError(f"{corpus.name}: no notes. Look at the paths of its entry.")
    for split in SPLITS:
        done.chats[split] = len(lines[split])
        with written_whole(folder / f"{split}.jsonl", private=True) as path:
            path.write_text("".join(f"{line}\n" for line in lines[split]), encoding="utf8")
    return done


def chat_of(
    prompt: PromptFormat, layers: Sequence[Scheme], passage: Passage
) -> list[dict[str, str]]:
    """A chat with the right answer.

    prompt (PromptFormat): The format. layers (Sequence[Scheme]): What is asked for.
    passage (Passage): The annotated text.
    RETURNS (list[dict[str, str]]): Its messages.
    """
    answer = {"role": "assistant", "content": prompt.render(passage)}
    return [*prompt.messages(layers, passage.text), answer]


def _as_seen(scheme: Scheme, view: str | None) -> Scheme:
    """A scheme with the labels that a view gives it."""
    return scheme if view is None or view not in scheme.views else scheme.seen(view)
