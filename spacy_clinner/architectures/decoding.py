"""Exact decoding of BIO tag scores: the best legal tagging and the posteriors of its spans.

A tagging is legal when I-x stands only after B-x or I-x. Its score is the product of the tags'
probabilities, so the state behind a token is only "inside label x" or "inside nothing", and a
step costs O(labels): into x by B-x from anywhere, or by I-x from x itself.

All documents of a batch are one sequence: where a document starts, or whatever else no span may
cross, no I-x is allowed, and that cuts the dependence exactly. The sequence is folded into short
chunks that are scanned side by side; a chunk whose incoming state turns out to be another than the
one it was scanned with is scanned again, until none changes. Dependence on the past dies within few
tokens, so two rounds are the rule, and the worst case takes no more steps than one plain scan.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Step = Callable[..., Floats]

CHUNK = 16
TOLERANCE = 1e-12
# Far below any score that matters; keeps quotients of probabilities within float64.
LOWEST = -300.0


@dataclass(frozen=True)
class TagScores:
    """Log probabilities of the tags of one layer, over the tokens of a batch laid end to end.

    Labels come first: sums and maxima over a few labels are then done for all tokens at once.

    outside (Floats): O, shape (tokens,).
    begin (Floats): B-x, shape (labels, tokens).
    inside (Floats): I-x, shape (labels, tokens); -inf where none may go on.
    """

    outside: Floats
    begin: Floats
    inside: Floats

    @property
    def by_tag(self) -> Floats:
        """All of them in the order O, B-1 .. B-n, I-1 .. I-n; shape (2 * labels + 1, tokens)."""
        return np.concatenate([self.outside[None], self.begin, self.inside])


@dataclass(frozen=True)
class SpanArrays:
    """Spans as arrays, sorted by position: token offsets into the batch, and label numbers.

    start (Ints), end (Ints), label (Ints): Shape (spans,); `end` is exclusive.
    """

    start: Ints
    end: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, which: Bools | Ints) -> "SpanArrays":
        return SpanArrays(self.start[which], self.end[which], self.label[which])


def tag_scores(logits: NDArray[np.floating], starts: Bools, temperature: float = 1.0) -> TagScores:
    """Normalise the scores of one layer.

    logits (NDArray): Scores in the order O, B-1 .. B-n, I-1 .. I-n; shape (tokens, 2 * labels + 1).
    starts (Bools): Where no span goes on, as where a document starts; shape (tokens,).
    temperature (float): Divides the scores; above 1 makes probabilities less extreme.
    RETURNS (TagScores): Log probabilities in float64.
    """
    scores = np.ascontiguousarray(logits.T, dtype=np.float64)
    scores /= temperature
    scores -= scores.max(axis=0)
    np.maximum(scores, LOWEST, out=scores)
    scores -= np.log(np.exp(scores).sum(axis=0))
    n_labels = len(scores) // 2
    inside = scores[n_labels + 1 :]
    inside[:, starts] = -np.inf
    return TagScores(scores[0], scores[1 : n_labels + 1], inside)


def only_allowed(scores: TagScores, allowed: Bools, tokens: Bools) -> TagScores:
    """The scores of some tokens, with no probability for tags that are not allowed.

    scores (TagScores): The scores of one layer.
    allowed (Bools): In the order O, B-1 .. B-n, I-1 .. I-n; shape (tokens, 2 * labels + 1).
    tokens (Bools): Which tokens, whole documents of them; shape (tokens,).
    RETURNS (TagScores): Their scores, -inf for what is not allowed; not normalised.
    """
    by_tag = np.where(allowed.T, scores.by_tag, -np.inf)[:, tokens]
    n_labels = len(scores.begin)
    return TagScores(by_tag[0], by_tag[1 : n_labels + 1], by_tag[n_labels + 1 :])


def viterbi(scores: TagScores) -> SpanArrays:
    """Find the spans of the most probable legal tagging.

    scores (TagScores): The scores of one layer.
    RETURNS (SpanArrays): The spans.
    """
    n_labels, n_tokens = scores.begin.shape
    if not n_tokens or not n_labels:
        return _no_spans()
    # Log score of the best tagging that is inside x after a token, less that of the best of all.
    arrays = (scores.outside, scores.begin, scores.inside)
    best = _scan(_viterbi_step, arrays, np.full(n_labels, LOWEST), least=1.0)
    continues = scores.inside + _previous(best) > scores.begin
    # The best state to be in when the next token does not continue a span: 0 is "inside nothing".
    label = best.argmax(axis=0)
    tokens = np.arange(n_tokens)
    state = np.where(best[label, tokens] < 0.0, 0, label + 1)
    begun = np.maximum.accumulate(np.where(continues, 0, tokens), axis=1)
    segment_start = np.where(state > 0, begun[label, tokens], tokens)
    ends = _segment_ends(segment_start)
    last = ends[state[ends] > 0]
    return SpanArrays(segment_start[last], last + 1, state[last] - 1)


def span_posteriors(scores: TagScores, spans: SpanArrays) -> Floats:
    """Find the probability of each span, given that the tagging is legal.

    scores (TagScores): The scores of one layer.
    spans (SpanArrays): Any spans, each within one document.
    RETURNS (Floats): The summed probability of all legal taggings with B-x I-x .. over exactly
        the span's tokens and no I-x behind it; shape (spans,).
    """
    if not len(spans):
        return np.zeros(0)
    chain = _forward_backward(scores)
    lengths = spans.end - spans.start
    offsets = np.cumsum(lengths) - lengths
    tokens = np.repeat(spans.start - offsets, lengths) + np.arange(lengths.sum())
    labels = np.repeat(spans.label, lengths)
    path = scores.inside[labels, tokens]
    path[offsets] = scores.begin[spans.label, spans.start]
    log_path = np.add.reduceat(path - np.log(chain.norm[tokens]), offsets)
    last = spans.end - 1
    posteriors: Floats = np.exp(log_path)
    posteriors *= chain.follow[0, last] / chain.total[last]
    return np.clip(posteriors, 0.0, 1.0)


def tag_marginals(scores: TagScores) -> tuple[Floats, Floats]:
    """Find the probability of each tag, given that the tagging is legal.

    scores (TagScores): The scores of one layer, -inf for tags that are not allowed at a token;
        some legal tagging must be allowed.
    RETURNS (tuple[Floats, Floats]): The probabilities in the order O, B-1 .. B-n, I-1 .. I-n,
        shape (tokens, 2 * labels + 1); and per token the log of what the constraint leaves of the
        probability mass, shape (tokens,): log P(tagging | legal) is the sum of the tags' log
        probabilities less the sum of these.
    """
    chain = _forward_backward(scores)
    weight = chain.follow / (chain.norm * chain.total)
    outside = np.exp(scores.outside) * weight[0]
    begin = np.exp(scores.begin) * weight[1:]
    inside = np.exp(scores.inside) * _previous(chain.state)[1:] * weight[1:]
    return np.concatenate([outside[None], begin, inside]).T, np.log(chain.norm)


@dataclass(frozen=True)
class _Chain:
    """What forward-backward finds. The states are "inside nothing" and "inside x" for each label.

    state (Floats): P(state after a token | the tokens up to it), shape (labels + 1, tokens).
    norm (Floats): What the constraint leaves of the probability mass at a token, shape (tokens,).
    follow (Floats): The weight of all that may follow a token in each state, on a scale of the
        token's own; shape (labels + 1, tokens).
    total (Floats): Its mean over the states, shape (tokens,).
    """

    state: Floats
    norm: Floats
    follow: Floats
    total: Floats


def _forward_backward(scores: TagScores) -> _Chain:
    # O leads to "inside nothing" from anywhere, as B-x to "inside x": it is the first row here.
    enter = np.exp(np.concatenate([scores.outside[None], scores.begin]))
    stay = np.zeros_like(enter)
    np.exp(scores.inside, out=stay[1:])
    # Where a chunk begins any state is possible, lest only I-x be allowed there and none be inside.
    anywhere = np.full(len(enter), 1.0 / len(enter))
    state = _scan(_forward_step, (enter, stay), anywhere)
    norm = (enter + stay * _previous(state)).sum(axis=0)
    # The tags of the next token decide what follows, hence the shift and, going leftwards, the
    # reversal.
    next_enter, next_stay = (np.roll(array, -1, axis=-1)[:, ::-1] for array in (enter, stay))
    next_enter[0, 0], next_stay[:, 0] = 1.0, 0.0  # nothing follows the last token
    nothing = np.zeros(len(enter))
    nothing[0] = 1.0
    parts = _scan(_backward_step, (next_enter, next_stay), nothing)[:, ::-1]
    follow = _followed(parts)
    return _Chain(state, norm, follow, (state * follow).sum(axis=0))


def _previous(states: Floats) -> Floats:
    """The state before each token; before the first none is known, nor needed."""
    previous = np.zeros_like(states)
    previous[:, 1:] = states[:, :-1]
    return previous


def _viterbi_step(before: Floats, outside: Floats, begin: Floats, inside: Floats) -> Floats:
    best = np.maximum(begin, inside + before)
    best -= np.maximum(best.max(axis=0), outside)
    return best


def _forward_step(before: Floats, enter: Floats, stay: Floats) -> Floats:
    mass = stay * before
    mass += enter
    mass /= mass.sum(axis=0)
    return mass


def _backward_step(before: Floats, enter: Floats, stay: Floats) -> Floats:
    """Of the weight of all that follows, the parts that begin with I-x, and first that of all
    else, which may follow any state."""
    weight = _followed(before)
    parts = stay * weight
    weight *= enter
    parts[0] = weight.sum(axis=0)
    parts /= parts.sum(axis=0)
    return parts


def _followed(parts: Floats) -> Floats:
    """The weight of what may follow each state, from the parts that `_backward_step` gives."""
    weight: Floats = parts + parts[0]
    weight[0] = parts[0]
    return weight


def _scan(step: Step, arrays: Sequence[Floats], initial: Floats, least: float = 0.0) -> Floats:
    """Run a recurrence over the tokens.

    step (Callable): From the state before, shape (states, chunks), and what `arrays` hold of the
        tokens, to the state after them.
    arrays (Sequence[Floats]): Shape (tokens,) or (states, tokens).
    initial (Floats): The state before each chunk, as long as no better is known; shape (states,).
    least (float): Below which size changes count by their own and not in proportion; 0 for
        probabilities, of which later tokens may make the smallest the largest.
    RETURNS (Floats): The state after each token, shape (states, tokens).
    """
    n_tokens = arrays[0].shape[-1]
    n_chunks = -(-n_tokens // CHUNK)
    folded = [_fold(array, n_chunks) for array in arrays]
    states = np.empty((CHUNK, len(initial), n_chunks))
    incoming = np.repeat(initial[:, None], n_chunks, axis=1)
    stale: Ints | slice = slice(None)
    while True:
        state = incoming[:, stale]
        for time in range(CHUNK):
            state = step(state, *(array[time][..., stale] for array in folded))
            states[time][:, stale] = state
        arrived = states[-1][:, :-1]
        change = np.abs(arrived - incoming[:, 1:]) > TOLERANCE * (least + np.abs(arrived))
        stale = np.flatnonzero(change.any(axis=0)) + 1
        if not len(stale):
            break
        incoming[:, stale] = arrived[:, stale - 1]
    return np.moveaxis(states, 0, -1).reshape(len(initial), -1)[:, :n_tokens]


def _fold(array: Floats, n_chunks: int) -> Floats:
    """Time first, then states, then chunks: what a step reads is contiguous. The last token fills
    up the last chunk."""
    padding = n_chunks * CHUNK - array.shape[-1]
    filled = np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, padding)], mode="edge")
    folded = filled.reshape(*array.shape[:-1], n_chunks, CHUNK)
    return np.ascontiguousarray(np.moveaxis(folded, -1, 0))


def _segment_ends(segment_start: Ints) -> Ints:
    """Follow the best tagging back from the last token: the last tokens of its segments.

    segment_start (Ints): For each token, where the segment starts that would end there.
    RETURNS (Ints): The tokens that end a segment of the best tagging, ascending.
    """
    n_tokens = len(segment_start)
    # Shifted by one, so that 0 means "before the first token" and points to itself.
    jump = np.concatenate([[0], segment_start])
    on_path = np.zeros(n_tokens + 1, dtype=bool)
    on_path[n_tokens] = True
    # Doubling: after k rounds `jump` spans 2**k segments, so all are marked in O(log tokens).
    while not on_path[0]:
        on_path[jump[on_path]] = True
        jump = jump[jump]
    return np.flatnonzero(on_path[1:])


def _no_spans() -> SpanArrays:
    empty = np.zeros(0, dtype=np.int64)
    return SpanArrays(empty, empty, empty)
