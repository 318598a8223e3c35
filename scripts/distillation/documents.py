"""Documents as arrays: what reads text is done here, so that the GPU's machine needs no spaCy."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from distillation.arrays import NOT_ANNOTATED, Array, Arrays
from spacy_clinner.architectures.transformer_batch import read_fast
from spacy_clinner.pipeline.ner.layers import TokenBatch, gold_tags
from spacy_clinner.tokenization.windows import get_line_windows

BATCH = 64
WINDOW = 128


def of_docs(
    docs: Sequence[Doc], tokenizer: Any, labels: dict[str, list[str]], progress: Any = iter
) -> Arrays:
    """Lay documents end to end.

    docs (Sequence[Doc]): Gold documents, or texts alone.
    tokenizer (PreTrainedTokenizerFast): Of the student's encoder.
    labels (dict[str, list[str]]): The labels of each layer.
    progress (Callable): Shows how far it is.
    RETURNS (Arrays): Their windows; documents without a token have none.
    """
    parts: dict[str, list[Array]] = {
        name: [] for name in ("pieces", "piece_ends", "pair_piece", "pair_token", "token_ends",
                              "doc", "first")}  # fmt: skip
    tags: dict[str, list[Array]] = {layer: [] for layer in labels}
    # By layer, the sets of tags of which any may be right; 0 is any tag.
    sets = {layer: {b"": np.ones(2 * len(names) + 1, dtype=bool)}
            for layer, names in labels.items()}  # fmt: skip
    n_pieces = n_tokens = 0
    for at in progress(range(0, len(docs), BATCH)):
        batch = list(docs[at : at + BATCH])
        found = _windows(batch, tokenizer)
        parts["pieces"].append(found["pieces"])
        parts["piece_ends"].append(found["piece_ends"] + n_pieces)
        parts["pair_piece"].append(found["pair_piece"] + n_pieces)
        parts["pair_token"].append(found["pair_token"] + n_tokens)
        parts["token_ends"].append(found["token_ends"] + n_tokens)
        parts["doc"].append(found["doc"] + at)
        parts["first"].append(found["first"])
        gold = _tags(batch, labels, sets)
        kept = int(found["token_ends"][-1]) if len(found["token_ends"]) else 0
        for layer in labels:
            tags[layer].append(gold.get(layer, np.full(kept, NOT_ANNOTATED, np.int16)))
        n_pieces += len(found["pieces"])
        n_tokens += kept
    together = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    whole = {layer: np.concatenate(arrays) for layer, arrays in tags.items()}
    used = {layer: array for layer, array in whole.items() if (array != NOT_ANNOTATED).any()}
    allowed = {layer: np.array(list(sets[layer].values())) for layer in used}
    return Arrays(**together, tags=used, allowed=allowed)


def _tags(
    docs: Sequence[Doc], labels: dict[str, list[str]], sets: dict[str, dict[bytes, Array]]
) -> dict[str, Array]:
    """The tags of each layer, as `Arrays` has them; new sets of tags are added to `sets`."""
    examples = [Example(Doc(d.vocab, [t.text for t in d], [bool(t.whitespace_) for t in d]), d)
                for d in docs]  # fmt: skip
    batch = TokenBatch.of([example.predicted for example in examples])
    found = {}
    for layer, gold in gold_tags(examples, batch, labels).items():
        allowed = gold.allowed()
        tags = allowed.argmax(axis=1)
        several = allowed.sum(axis=1) > 1
        if several.any():
            patterns, which = np.unique(allowed[several], axis=0, return_inverse=True)
            numbers = np.array([_number(sets[layer], pattern) for pattern in patterns])
            tags[several] = NOT_ANNOTATED - 1 - numbers[which.ravel()]
        tags[~gold.annotated] = NOT_ANNOTATED
        found[layer] = tags.astype(np.int16)
    return found


def _number(sets: dict[bytes, Array], pattern: Array) -> int:
    key = b"" if pattern.all() else pattern.tobytes()
    sets.setdefault(key, pattern)
    return list(sets).index(key)


def _windows(docs: Sequence[Doc], tokenizer: Any) -> dict[str, Array]:
    spans = get_line_windows(list(docs), WINDOW, None, 0)
    spans = [[span for span in found if len(span)] for found in spans]
    spans, wordpieces, align = read_fast(tokenizer, docs, spans)
    lengths = np.array(wordpieces.lengths)
    width = wordpieces.input_ids.shape[1]
    inner = lengths - 2
    ends = np.cumsum(inner)
    columns = np.arange(width)
    inside = (columns >= 1) & (columns < (lengths - 1)[:, None])
    places = np.full(inside.shape, -1, dtype=np.int64)
    places[inside] = np.arange(inside.sum())
    # `align` counts the tokens of documents that have windows.
    aligned = [doc for doc, found in zip(docs, spans, strict=True) if found]
    batch = TokenBatch.of(aligned)
    number = np.cumsum(batch.kept) - 1
    rows = np.repeat(np.arange(len(batch.kept)), np.asarray(align.lengths))
    piece = places.ravel()[np.asarray(align.dataXd)]
    good = batch.kept[rows] & (piece >= 0)
    window_tokens, owner, first = [], [], []
    offset = 0
    for at, (doc, found) in enumerate(zip(docs, spans, strict=True)):
        for k, span in enumerate(found):
            window_tokens.append(offset + span.end)
            owner.append(at)
            first.append(k == 0)
        offset += len(doc) if found else 0
    kept_before = np.concatenate([[0], np.cumsum(batch.kept)])
    return {
        "pieces": np.asarray(wordpieces.input_ids)[inside].astype(np.uint16),
        "piece_ends": ends,
        "pair_piece": piece[good],
        "pair_token": number[rows[good]],
        "token_ends": kept_before[np.array(window_tokens, dtype=np.int64)],
        "doc": np.array(owner, dtype=np.int64),
        "first": np.array(first, dtype=bool),
    }


def labels_of(corpora: Iterable[Sequence[Doc]]) -> dict[str, list[str]]:
    """The labels of each layer, in the order in which they are met."""
    labels: dict[str, list[str]] = {}
    for docs in corpora:
        for doc in docs:
            for layer, group in doc.spans.items():
                known = labels.setdefault(layer, [])
                for span in group:
                    if span.label_ not in known:
                        known.append(span.label_)
    return labels
