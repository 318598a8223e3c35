"""From documents to their vectors: the forward pass of `clinner.TransformerModel.v1`.

What it gives is what spacy-transformers' own gives, with no loop over tokens, and with windows cut
in two where spacy-transformers cuts off what the encoder does not take.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.tokens import Doc, Span
from thinc.api import torch2xp
from thinc.types import Ragged

from spacy_clinner.tokenization.wordpieces import (
    Ints,
    Window,
    align_wordpieces,
    cut_windows,
    encode_windows,
)

if TYPE_CHECKING:
    from spacy_transformers.data_classes import (
        FullTransformerBatch,
        TransformerData,
        WordpieceBatch,
    )

Windows = list[list[Span]]


def forward(
    model: Any, docs: Sequence[Doc], is_train: bool
) -> tuple["FullTransformerBatch", Callable[[Any], Any]]:
    """Compute the vectors of documents.

    model (TransformerModel): The model.
    docs (Sequence[Doc]): The documents.
    is_train (bool): Whether gradients are to follow.
    RETURNS (tuple[FullTransformerBatch, Callable]): The vectors, and the backward pass.
    """
    from spacy_transformers.data_classes import FullTransformerBatch

    docs = list(docs)
    windows = [[span for span in found if len(span)] for found in model.attrs["get_spans"](docs)]
    if not any(windows):
        return FullTransformerBatch.empty(len(docs)), lambda _: docs
    tokenizer = model.tokenizer
    if cuts_windows(tokenizer):
        windows, wordpieces, align = read_fast(tokenizer, docs, windows)
    else:
        wordpieces, align = read_slowly(tokenizer, windows)
    output, backprop = model.layers[0](wordpieces, is_train)
    batch = FullTransformerBatch(windows, wordpieces, output, align)
    batch.cached_doc_data = split_by_doc(batch, docs)

    def backprop_transformer(d_batch: "FullTransformerBatch") -> list[Doc]:
        backprop(d_batch.model_output)
        return docs

    return batch, backprop_transformer


def cuts_windows(tokenizer: Any) -> bool:
    """Whether windows that do not fit are cut in two, not off.

    tokenizer (PreTrainedTokenizerBase): The tokenizer.
    RETURNS (bool): True for one that says where in the text a wordpiece stands, and pads behind.
    """
    return bool(tokenizer.is_fast and tokenizer.padding_side == "right")


def _n_tokens(docs: Sequence[Doc], windows: Windows) -> list[int]:
    """Documents without a window have no place in the alignment."""
    return [len(doc) if found else 0 for doc, found in zip(docs, windows, strict=True)]


def read_fast(
    tokenizer: Any, docs: Sequence[Doc], windows: Windows
) -> tuple[Windows, "WordpieceBatch", Ragged]:
    """Cut windows into wordpieces, and align them by their places in the text.

    tokenizer (PreTrainedTokenizerFast): The tokenizer.
    docs (Sequence[Doc]): The documents.
    windows (List[List[Span]]): The windows of each.
    RETURNS (tuple[List[List[Span]], WordpieceBatch, Ragged]): The windows, those cut in two that
        did not fit the encoder; the wordpieces, padded to the longest window; and for each token
        of documents that have windows the places of its wordpieces in all of these.
    """
    from spacy_transformers.data_classes import WordpieceBatch

    ends = np.cumsum(_n_tokens(docs, windows))
    cut = [
        window
        for doc, found, end in zip(docs, windows, ends.tolist(), strict=True)
        if found
        for window in cut_windows(doc, found, end - len(doc))
    ]
    limit = tokenizer.model_max_length
    fitting, encodings = encode_windows(
        cut,
        lambda texts: tokenizer(texts, return_attention_mask=False, verbose=False).encodings,
        limit,
    )
    if len(fitting) > len(cut):
        windows = windows_by_doc(fitting, docs, ends)
    cut = fitting
    lengths = np.array([min(len(e.ids), limit) for e in encodings], dtype=np.int64)
    mask = np.arange(lengths.max()) < lengths[:, None]

    def padded(rows: list[list[int]], padding: int) -> Any:
        array = np.full(mask.shape, padding, dtype=np.int64)
        kept = (row[:n] for row, n in zip(rows, lengths.tolist(), strict=True))
        array[mask] = np.fromiter(chain.from_iterable(kept), np.int64, int(lengths.sum()))
        return array

    ids = padded([e.ids for e in encodings], tokenizer.pad_token_id)
    known, name = np.unique(ids, return_inverse=True)
    names = np.array(tokenizer.convert_ids_to_tokens(known.tolist()), dtype=object)
    types = None
    if "token_type_ids" in tokenizer.model_input_names:
        types = padded([e.type_ids for e in encodings], tokenizer.pad_token_type_id)
    wordpieces = WordpieceBatch(
        strings=names[name.reshape(ids.shape)].tolist(),
        input_ids=ids,
        attention_mask=mask.astype(np.float32),  # type: ignore[arg-type]
        lengths=lengths.tolist(),
        token_type_ids=types,
    )
    kept = zip(encodings, lengths.tolist(), strict=True)
    offsets = np.array([pair for e, n in kept for pair in e.offsets[:n]], dtype=np.int64)
    pieces, rows = align_wordpieces(cut, offsets, lengths)
    places = np.flatnonzero(mask)[pieces][np.argsort(rows, kind="stable")]
    counts = np.bincount(rows, minlength=int(ends[-1]))
    align = Ragged(places.astype("i"), counts.astype("i"))  # type: ignore[arg-type]
    return windows, wordpieces, align


def windows_by_doc(windows: Sequence[Window], docs: Sequence[Doc], ends: Ints) -> Windows:
    """The windows as spans of their documents.

    windows (Sequence[Window]): The windows of all documents, in order.
    docs (Sequence[Doc]): The documents.
    ends (Ints): The row after each document's last token.
    RETURNS (List[List[Span]]): Those of each document.
    """
    found: Windows = [[] for _ in docs]
    rows = [window.row for window in windows]
    owners = np.searchsorted(ends, rows, side="right").tolist()
    for window, at in zip(windows, owners, strict=True):
        doc = docs[at]
        start = window.row - (int(ends[at]) - len(doc))
        found[at].append(doc[start : start + len(window.starts)])
    return found


def read_slowly(tokenizer: Any, windows: Windows) -> tuple["WordpieceBatch", Ragged]:
    """The same by spacy-transformers' functions, for tokenizers that do not say where in the text
    a wordpiece stands, or that pad in front."""
    from spacy_transformers.align import get_alignment, get_alignment_via_offset_mapping
    from spacy_transformers.data_classes import WordpieceBatch
    from spacy_transformers.layers.transformer_model import huggingface_tokenize
    from spacy_transformers.truncate import truncate_oversize_splits

    flat = [span for found in windows for span in found]
    encoding = huggingface_tokenize(tokenizer, [span.text for span in flat])
    wordpieces = WordpieceBatch.from_batch_encoding(encoding)
    if "offset_mapping" in encoding:
        align = get_alignment_via_offset_mapping(flat, encoding["offset_mapping"])
    else:
        align = get_alignment(flat, wordpieces.strings, tokenizer.all_special_tokens)
    return truncate_oversize_splits(wordpieces, align, tokenizer.model_max_length)


def split_by_doc(batch: "FullTransformerBatch", docs: Sequence[Doc]) -> list["TransformerData"]:
    """Take a batch apart, without copying vectors.

    batch (FullTransformerBatch): The batch.
    docs (Sequence[Doc]): Its documents.
    RETURNS (List[TransformerData]): The part of each document.
    """
    from spacy_transformers.data_classes import TransformerData
    from transformers.utils.generic import ModelOutput

    output: Any = ModelOutput
    arrays = {
        key: [torch2xp(part) for part in value] if isinstance(value, tuple) else torch2xp(value)
        for key, value in batch.model_output.items()
    }
    lengths: Any = batch.align.lengths
    places: Any = batch.align.dataXd
    before = np.concatenate([[0], np.cumsum(lengths)])
    width = batch.wordpieces.input_ids.shape[1]
    data = []
    start = row = 0
    for found, n_tokens in zip(batch.spans, _n_tokens(docs, batch.spans), strict=True):
        if not found:
            data.append(TransformerData.empty())
            continue
        end = start + len(found)
        first, last = row + found[0].start, row + found[-1].end
        data.append(
            TransformerData(
                wordpieces=batch.wordpieces[start:end],
                model_output=output(
                    {
                        key: [part[start:end] for part in value]
                        if isinstance(value, list)
                        else value[start:end]
                        for key, value in arrays.items()
                    }
                ),
                align=Ragged(
                    places[before[first] : before[last]] - start * width, lengths[first:last]
                ),
            )
        )
        start, row = end, row + n_tokens
    return data
