"""Our own checks of a converted corpus, beside spaCy's debug data."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_clinner.corpora.catalog import SPLITS
from spacy_clinner.corpora.docbin import read_docs, without_spans
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.preparation import load_settings, resolve_encoder, validate

FEW = 20


@dataclass(frozen=True)
class Check:
    """What a converted corpus holds.

    counts (dict[str, Counter[str]]): By split, spans by "layer/LABEL".
    complaints (list[str]): What is worth a look, but no reason to stop.
    """

    counts: dict[str, Counter[str]]
    complaints: list[str]


def check(folder: Path) -> Check:
    """Look for what would spoil training or its evaluation.

    folder (Path): A converted corpus, with a .spacy file for each split.
    RETURNS (Check): What it holds.
    RAISES (ClinnerError): A split is missing or has no span, or a note stands in two.
    """
    vocab = Vocab()
    splits: dict[str, list[Doc]] = {}
    for split in SPLITS:
        path = folder / f"{split}.spacy"
        if not path.is_file():
            raise ClinnerError(
                f"{path}: missing. `clinner convert` writes it, in the project `spacy project run "
                f"convert`."
            )
        splits[split] = read_docs(path, vocab)
    counts = {split: count_labels(docs) for split, docs in splits.items()}
    for split in SPLITS:
        if not counts[split]:
            raise ClinnerError(
                f"{folder / split}.spacy: not one span, so there is nothing to learn or score."
            )
    seen: dict[str, str] = {}
    for split, docs in splits.items():
        for doc in docs:
            if seen.setdefault(doc.text, split) != split:
                raise ClinnerError(f"{folder}: a note of {seen[doc.text]} stands in {split} too.")
    return Check(counts, complaints(splits, counts))


def count_labels(docs: list[Doc]) -> Counter[str]:
    """Spans by "layer/LABEL"."""
    return Counter(
        f"{layer}/{span.label_}"
        for doc in docs
        for layer, group in doc.spans.items()
        for span in group
    )


def complaints(splits: dict[str, list[Doc]], counts: dict[str, Counter[str]]) -> list[str]:
    """What is worth a look, but no reason to stop."""
    annotated = Counter(layer for docs in splits.values() for doc in docs for layer in doc.spans)
    found = without_spans(annotated, chain(*counts.values()))
    for label in sorted(set().union(*counts.values())):
        if not counts["train"][label]:
            found.append(f"{label} is in dev or test but never in train")
        elif counts["train"][label] < FEW:
            found.append(f"{label} has only {counts['train'][label]} examples in train")
    for split, docs in splits.items():
        bare = sum(not any(doc.spans.values()) for doc in docs)
        if bare:
            found.append(f"{split}: {bare} of {len(docs)} notes hold no span at all")
    return found


def check_config(config: Path, folder: Path, overrides: Mapping[str, Any]) -> None:
    """Run spaCy's debug data, which prints what it finds.

    config (Path): The config.
    folder (Path): The converted corpus.
    overrides (Mapping[str, Any]): Values of the config by dotted key.
    RAISES (ClinnerError): The config or its encoder cannot be used.
    """
    from spacy.cli.debug_data import debug_data

    paths = {f"paths.{name}": str(folder / f"{name}.spacy") for name in ("train", "dev")}
    settings = load_settings(config, {**overrides, **paths})
    if encoder := settings.get("variables", {}).get("encoder"):
        resolve_encoder(str(encoder))
    # Validated here, since debug data exits for a bad config as it does for advice.
    resolved = validate(config, settings)
    with tempfile.TemporaryDirectory() as scratch:
        resolved.to_disk(Path(scratch) / "config.cfg")
        # What is left to exit for is the summary, which counts advice such as "fewer than 100
        # examples"; what really cannot be trained raises an error of its own.
        with suppress(SystemExit):
            debug_data(Path(scratch) / "config.cfg", silent=False, no_format=False)
