"""`clinner suggest`: the notes that teach a model most, with what it finds in them."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from spacy.language import Language

from spacy_clinner.corpora.suggestion_files import check_labels, check_output, write_suggestions
from spacy_clinner.corpora.suggestions import Palette, Suggestion, palette_of, suggestion_of
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet
from spacy_clinner.training.selection import Looks, check_way, choose, drawn, look, recogniser

logger = logging.getLogger(__name__)


def suggest(
    model: str,
    notes: Iterable[tuple[str, str]],
    out: Path,
    tool: str,
    *,
    count: int = 50,
    by: str = "uncertainty",
    layers: Sequence[str] = (),
    pool: int = 2000,
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Suggestion]:
    """Choose notes, and write what a model suggests for them as a tool imports it.

    model (str): The pipeline, a folder or an installed one.
    notes (Iterable[tuple[str, str]]): Ids and texts.
    out (Path): The folder to write, see `write_suggestions`.
    tool (str): The tool.
    count (int): How many notes to choose.
    by (str): How; see `choose`.
    layers (Sequence[str]): The layers to suggest; by default those of `doc.ents`, and those that
        are linked to these.
    pool (int): How many notes to choose among, drawn by chance.
    seed (int): Decides what is drawn.
    progress (Progress): Shows how far it is.
    RETURNS (list[Suggestion]): What was written, the notes that teach most first.
    RAISES (ClinnerError): The model cannot be loaded, there is no note, or layers do not fit.
    """
    # To look at all notes takes minutes.
    check_way(by)
    check_output(out, tool)
    nlp = load_pipeline(model)
    shown = shown_layers(nlp, layers)
    labels = shown_palette(nlp, shown)
    check_labels(labels, tool)
    drawn_notes = drawn(_short_enough(notes, nlp.max_length), pool, seed)
    if not drawn_notes:
        raise ClinnerError("there is no note with a text to suggest anything for.")
    names = numbered([name for name, _ in drawn_notes])
    texts = [text for _, text in drawn_notes]
    if by == "random":
        looks = Looks(np.zeros(len(texts)), np.zeros((len(texts), 1)))
    else:
        looks = look(nlp, progress(texts, "Looking", len(texts)), shown)
    chosen = choose(looks, count, by, seed)
    docs = progress(nlp.pipe([texts[at] for at in chosen]), "Suggesting", len(chosen))
    found = [
        suggestion_of(
            doc,
            names[at],
            shown,
            labels.judged,
            None if by == "random" else float(looks.errors[at]),
        )
        for at, doc in zip(chosen, docs, strict=True)
    ]
    name = f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}"
    write_suggestions(found, labels, out, tool, name)
    return found


def _short_enough(notes: Iterable[tuple[str, str]], longest: int) -> Iterator[tuple[str, str]]:
    """The notes that have a text, and none that is too long for a pipeline; these are counted."""
    left_out = 0
    for name, text in notes:
        if len(text) > longest:
            left_out += 1
        elif text.strip():
            yield name, text
    if left_out:
        logger.warning("%d notes of more than %s characters, left out", left_out, f"{longest:,}")


def numbered(names: Sequence[str]) -> list[str]:
    """Ids that are all different.

    names (Sequence[str]): The ids.
    RETURNS (list[str]): The same, with a number behind each that stood there before: "7", "7-2".
    """
    taken = {*names}
    found: dict[str, None] = {}
    for name in names:
        new = name
        if name in found:
            new = next(n for at in itertools.count(2) if (n := f"{name}-{at}") not in taken)
        taken.add(new)
        found[new] = None
    return [*found]


def shown_layers(nlp: Language, layers: Sequence[str]) -> list[str]:
    """The layers to suggest.

    nlp (Language): The pipeline.
    layers (Sequence[str]): Those that are wanted; none for the usual ones.
    RETURNS (list[str]): The layers.
    RAISES (ClinnerError): One is unknown, or two have a label in common.
    """
    ner = nlp.get_pipe(recogniser(nlp))
    known: dict[str, list[str]] = ner.layer_labels  # type: ignore[attr-defined]
    if not layers:
        layers = [*ner.ents_layers]  # type: ignore[attr-defined]
        for name, factory in nlp.pipe_factories.items():
            if factory == "clinner_relations":
                layers = [*layers, *nlp.get_pipe(name).linked_groups]  # type: ignore[attr-defined]
    found = [layer for layer in dict.fromkeys(layers) if layer in known]
    if unknown := [layer for layer in layers if layer not in known]:
        raise ClinnerError(f"no layer {unknown[0]!r}; the model has {', '.join(known)}.")
    seen: dict[str, str] = {}
    for layer in found:
        for label in known[layer]:
            if label in seen:
                raise ClinnerError(
                    f"the layers {seen[label]} and {layer} both have the label {label}, and tools "
                    f"know a label once. Suggest them one by one, with --layer."
                )
            seen[label] = layer
    return found


def shown_palette(nlp: Language, layers: Sequence[str]) -> Palette:
    """What annotators choose from, of some layers of a pipeline."""
    ner = nlp.get_pipe(recogniser(nlp))
    labels = {layer: ner.layer_labels[layer] for layer in layers}  # type: ignore[attr-defined]
    return palette_of(labels, ner.schemes)  # type: ignore[attr-defined]
