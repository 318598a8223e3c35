"""The candidate pairs of `clinner_relations`, and what is known of each besides its vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id
from spacy.tokens import Doc, Span

from spacy_clinner.architectures.pair_classifier import CandidatePairs

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Located = tuple[int, int, str]  # first token, end token (exclusive), label

# Kinds of tokens that separate or join; the columns of `token_kinds`.
KINDS = {
    "comma": (",", "/", ";", "&"),
    "conjunction": ("and", "or", "nor", "and/or", "&"),
    "end": (".", "?", "!"),
    "colon": (":", "-", "–", "="),
    "bracket": ("(", ")", "[", "]"),
    "contrast": ("but", "except", "however", "although", "though", "who", "which", "that"),
    "verb": ("has", "had", "have", "is", "are", "was", "were", "with"),
}
HASHES = {kind: np.array([get_string_id(w) for w in words], dtype=np.uint64)
          for kind, words in KINDS.items()}  # fmt: skip
COLUMNS = (*KINDS, "line", "paragraph", "loose")

# A count c becomes one feature "c >= step" per step.
DISTANCE_STEPS = (0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 22, 30)
COUNT_STEPS = (1, 2, 3, 5, 8)
FEW_STEPS = (1, 2, 3)
COST_STEPS = (-20, -8, -3, 0, 3, 8, 20, 1000)
NONE = 10_000
LEFT, RIGHT, TOUCHING = 0, 1, 2


@dataclass(frozen=True)
class LegalPairs:
    """Which labels may be linked.

    heads (Tuple[str]): The labels of entities. tails (Tuple[str]): The labels of modifiers.
    number (Ints): The number of each legal pair, else -1; shape (heads, tails).
    """

    heads: tuple[str, ...]
    tails: tuple[str, ...]
    number: Ints

    @classmethod
    def of(cls, pairs: Mapping[str, Sequence[str]]) -> "LegalPairs":
        """Number the pairs in the order in which the scheme states them."""
        heads = tuple(pairs)
        tails = tuple(dict.fromkeys(tail for names in pairs.values() for tail in names))
        number = np.full((len(heads), len(tails)), -1, dtype=np.int64)
        for at, (head, tail) in enumerate((h, t) for h in heads for t in pairs[h]):
            number[heads.index(head), tails.index(tail)] = at
        return cls(heads, tails, number)

    @property
    def names(self) -> tuple[str, ...]:
        """The pairs as "HEAD-TAIL", by number."""
        rows = np.argwhere(self.number >= 0)
        order = np.argsort(self.number[rows[:, 0], rows[:, 1]])
        return tuple(f"{self.heads[h]}-{self.tails[t]}" for h, t in rows[order].tolist())


@dataclass(frozen=True)
class SpanTable:
    """Spans of a batch, in order; tokens count through all documents laid end to end.

    doc, start, end, label (Ints): Document, first token, end token (exclusive) and number of the
        label of each span, shape (spans,).
    origin (Ints): Where each span stood among its document's spans.
    """

    doc: Ints
    start: Ints
    end: Ints
    label: Ints
    origin: Ints

    @classmethod
    def of(
        cls, spans: Iterable[Iterable[Located]], labels: Sequence[str], offsets: Ints
    ) -> "SpanTable":
        """Collect the spans of each document, without those of unknown labels or of no token."""
        number = {label: at for at, label in enumerate(labels)}
        rows = [
            (doc, start, end, number[label], origin)
            for doc, located in enumerate(spans)
            for origin, (start, end, label) in enumerate(located)
            if label in number and start < end
        ]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        table[:, 1:3] += offsets[table[:, 0]][:, None]
        order = np.lexsort((table[:, 2], table[:, 1], table[:, 0]))
        return cls(*table[order].T)

    def __len__(self) -> int:
        return int(self.doc.shape[0])

    @property
    def bounds(self) -> Ints:
        return np.stack((self.start, self.end), axis=1)


@dataclass(frozen=True)
class Candidates:
    """All legal pairs within reach, of all documents of a batch."""

    heads: SpanTable
    tails: SpanTable
    pairs: CandidatePairs


@dataclass(frozen=True)
class PredictedLinks:
    """The links of a batch of documents.

    entities, modifiers (List[List[Span]]): The spans of each document.
    rows (List[Tuple[int, int, int, float]]): Document, position of the entity and of the modifier
        among its spans, and confidence of each link.
    """

    entities: list[list[Span]]
    modifiers: list[list[Span]]
    rows: list[tuple[int, int, int, float]]


def located(spans: Iterable[Span]) -> list[Located]:
    """Where spans stand among their document's tokens, with their labels."""
    return [(span.start, span.end, span.label_) for span in spans]


def find_candidates(
    docs: Sequence[Doc],
    heads: Iterable[Iterable[Located]],
    tails: Iterable[Iterable[Located]],
    legal: LegalPairs,
    reach: int,
) -> Candidates:
    """Find the candidate pairs of a batch.

    docs (Sequence[Doc]): The documents.
    heads (Iterable[Iterable[Located]]): The entities of each document.
    tails (Iterable[Iterable[Located]]): The modifiers of each document.
    legal (LegalPairs): The labels that may be linked.
    reach (int): The most tokens that may stand between the two.
    RETURNS (Candidates): The pairs, ordered by modifier, then by entity.
    """
    lengths = np.array([len(doc) for doc in docs], dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    head_table = SpanTable.of(heads, legal.heads, offsets)
    tail_table = SpanTable.of(tails, legal.tails, offsets)
    pairs = _within_reach(head_table, tail_table, legal, reach)
    features = pair_features(docs, head_table, tail_table, pairs, legal)
    found = CandidatePairs(head_table.bounds, tail_table.bounds, pairs[0], pairs[1], features)
    return Candidates(head_table, tail_table, found)


def _within_reach(heads: SpanTable, tails: SpanTable, legal: LegalPairs, reach: int) -> Ints:
    """Rows of heads and tails, shape (2, pairs)."""
    if not len(heads) or not len(tails):
        return np.zeros((2, 0), dtype=np.int64)
    # Ends need not be in order (spans may overlap), but the furthest end so far is.
    low = np.searchsorted(np.maximum.accumulate(heads.end), tails.start - reach, side="left")
    high = np.searchsorted(heads.start, tails.end + reach, side="right")
    low = np.maximum(low, np.searchsorted(heads.doc, tails.doc, side="left"))
    high = np.minimum(high, np.searchsorted(heads.doc, tails.doc, side="right"))
    counts = np.maximum(high - low, 0)
    tail = np.repeat(np.arange(len(tails)), counts)
    head = np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    near = tails.start[tail] - heads.end[head] <= reach
    near &= legal.number[heads.label[head], tails.label[tail]] >= 0
    # Where one group has both, a span is among the heads and among the tails.
    itself = np.array(legal.heads)[heads.label[head]] == np.array(legal.tails)[tails.label[tail]]
    itself &= (heads.start[head] == tails.start[tail]) & (heads.end[head] == tails.end[tail])
    near &= ~itself
    return np.stack((head[near], tail[near]))


def token_kinds(docs: Sequence[Doc], covered: Bools) -> Bools:
    """What each token of a batch is: shape (tokens, COLUMNS). A token that is inside no span,
    separates nothing and joins nothing is "loose"."""
    parts = [doc.to_array(["LOWER", "ORTH", "IS_SPACE"]) for doc in docs if len(doc)]
    lower, orth, space = (np.concatenate(parts) if parts else np.zeros((0, 3), np.uint64)).T
    columns = [np.isin(lower, hashes) for hashes in HASHES.values()]
    blank, at = np.unique(np.where(space > 0, orth, 0), return_inverse=True)
    texts = (docs[0].vocab.strings[key] if key else "" for key in blank.tolist())
    breaks = np.array([text.count("\n") for text in texts], dtype=np.int64)
    lines = breaks[at] if len(blank) else np.zeros(0, np.int64)
    marks = columns[0] | columns[1]
    columns += [lines > 0, lines > 1, ~(covered | marks | (space > 0))]
    return np.stack(columns, axis=1)


def _running(values: NDArray[np.generic]) -> Ints:
    """Sums of all rows before each row, shape (rows + 1, columns)."""
    sums = np.zeros((len(values) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def _starts(table: SpanTable, n_tokens: int, n_labels: int) -> Ints:
    """Running counts of the spans of each label that start before each token."""
    starts = np.zeros((n_tokens, n_labels), dtype=np.int64)
    np.add.at(starts, (table.start, table.label), 1)
    return _running(starts)


def _rank(group: Ints, cost: Ints) -> Ints:
    """How many members of its group cost less (or as much, and come before)."""
    order = np.lexsort((cost, group))
    ordered = group[order]
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return rank


def _nearest_elsewhere(group: Ints, side: Ints, cost: Ints, n_groups: int) -> Ints:
    """The least cost in the group among those on another side; a large number if there are none."""
    least = np.full((n_groups, 3), NONE, dtype=np.int64)
    np.minimum.at(least, (group, side), cost)
    others = least[group]
    others[np.arange(len(group)), side] = NONE
    return others.min(axis=1) if len(group) else np.zeros(0, np.int64)


def _steps(values: Ints, steps: tuple[int, ...]) -> Bools:
    return values[:, None] >= np.array(steps)


def pair_features(
    docs: Sequence[Doc], heads: SpanTable, tails: SpanTable, pairs: Ints, legal: LegalPairs
) -> Floats:
    """What is known of each pair: labels, order, distance, what stands between, competitors.

    docs (Sequence[Doc]): The batch.
    heads (SpanTable), tails (SpanTable): Its spans.
    pairs (Ints): Rows of heads and tails, shape (2, pairs).
    legal (LegalPairs): The labels that may be linked.
    RETURNS (NDArray[float32]): Zeros and ones, shape (pairs, features).
    """
    head, tail = pairs
    h_start, h_end, h_label = heads.start[head], heads.end[head], heads.label[head]
    t_start, t_end, t_label = tails.start[tail], tails.end[tail], tails.label[tail]
    n_tokens = sum(len(doc) for doc in docs)
    gap = np.maximum(h_start - t_end, t_start - h_end)
    side = np.where(gap < 0, TOUCHING, np.where(t_start < h_start, LEFT, RIGHT))
    low = np.minimum(h_end, t_end)
    high = np.maximum(low, np.maximum(h_start, t_start))

    edges = np.zeros(n_tokens + 1, dtype=np.int64)
    for table in (heads, tails):
        np.add.at(edges, table.start, 1)
        np.add.at(edges, table.end, -1)
    kinds = _running(token_kinds(docs, np.cumsum(edges)[:-1] > 0))
    kinds_between = kinds[high] - kinds[low]
    head_starts = _starts(heads, n_tokens, len(legal.heads))
    tail_starts = _starts(tails, n_tokens, len(legal.tails))
    heads_between = head_starts[high] - head_starts[low]
    tails_between = tail_starts[high] - tail_starts[low]
    at = np.arange(len(head))
    is_legal = legal.number >= 0
    rivals = (heads_between * is_legal.T[t_label]).sum(axis=1)
    loose = kinds_between[:, COLUMNS.index("loose")]
    # A break in the text weighs more than words do.
    breaks = kinds_between[:, [COLUMNS.index(kind) for kind in ("end", "line", "contrast")]]
    cost = np.maximum(gap, 0) + 4 * loose + breaks @ np.array([20, 10, 4])

    columns = [
        legal.number[h_label, t_label][:, None] == np.arange(legal.number.max() + 1),
        side[:, None] == np.arange(3),
        ((t_start >= h_start) & (t_end <= h_end))[:, None],
        ((h_start >= t_start) & (h_end <= t_end))[:, None],
        _steps(gap, DISTANCE_STEPS),
        _steps(loose, DISTANCE_STEPS[1:]),
        _steps(heads_between.sum(axis=1), COUNT_STEPS),
        _steps(rivals, COUNT_STEPS),
        _steps(heads_between[at, h_label], COUNT_STEPS),
        _steps(tails_between.sum(axis=1), COUNT_STEPS),
        _steps(tails_between[at, t_label], FEW_STEPS),
        *(_steps(kinds_between[:, i], FEW_STEPS) for i in range(len(COLUMNS) - 1)),
    ]
    by_label = head * len(legal.tails) + t_label
    columns += _competition(tail, len(tails), side, gap, cost)
    columns += _competition(by_label, len(heads) * len(legal.tails), side, gap, cost)
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _competition(group: Ints, n_groups: int, side: Ints, gap: Ints, cost: Ints) -> list[Bools]:
    """How each pair stands among those of its group: its ranks, and the best on another side."""
    columns = []
    for value in (np.maximum(gap, -1), cost):
        columns.append(_steps(_rank(group, value), FEW_STEPS))
        columns.append(_steps(_rank(group * 3 + side, value), FEW_STEPS))
    columns.append(_steps(_nearest_elsewhere(group, side, gap, n_groups), DISTANCE_STEPS))
    elsewhere = _nearest_elsewhere(group, side, cost, n_groups)
    columns.append(_steps(elsewhere - cost, COST_STEPS))
    return columns


def choose_links(
    modifier: Ints, probability: NDArray[np.float64], threshold: float, floor: float
) -> Ints:
    """Decide which candidate pairs become links.

    modifier (NDArray[int64]): The modifier of each pair, shape (pairs,).
    probability (NDArray[float64]): The probability of each pair, shape (pairs,).
    threshold (float): Pairs of at least this probability are links.
    floor (float): Where a modifier has none, its most probable pair is one if of at least this.
    RETURNS (NDArray[int64]): The positions of the links, in order.
    """
    order = np.lexsort((-probability, modifier))
    ordered = modifier[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    best = order[first]
    linked = probability >= threshold
    # A modifier's best pair is above the threshold whenever any is: only unlinked ones gain.
    linked[best[probability[best] >= floor]] = True
    return np.flatnonzero(linked)


def sigmoid(scores: Any) -> NDArray[np.float64]:
    """Probabilities of scores, shape (pairs,)."""
    logits = np.asarray(scores, dtype=np.float64).ravel()
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
