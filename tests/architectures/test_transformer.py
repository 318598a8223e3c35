import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinner.errors import ClinnerError

pytest.importorskip("spacy_transformers")
pytest.importorskip("sentencepiece")
from tiny_encoders import LIMIT, deberta, gatortrons, sentencepiece_model

MARK = "▁"
NOTES = [
    "HPI: No fever,  denies chest\npain; BP 120/80mmHg (was 130/85).\n\n\tPlan: aspirin 81 mg p.o.",
    " Leading space. ½ tab q.d.; 5 µg ´as needed´ … ﷺ x\u00a0y -\u2003- w/o",
    "a b c d e f g h . , ; ( ) 1 2 3\r\nT 38.5°C\r\n",
]
WINDOWS = {"@span_getters": "clinner.line_windows.v1", "window": 128, "max_pieces": 382}


def pipeline(folder, architecture="clinner.TransformerModel.v1", spans=WINDOWS, **tokenizer):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    config = {
        "@architectures": architecture,
        "name": str(folder),
        "get_spans": spans,
        "tokenizer_config": {"use_fast": True, "model_max_length": LIMIT} | tokenizer,
    }
    nlp.add_pipe("transformer", config={"model": config})
    nlp.initialize()
    return nlp


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return deberta(tmp_path_factory.mktemp("encoders") / "deberta")


@pytest.fixture(scope="module")
def nlp(folder):
    return pipeline(folder)


@pytest.fixture(scope="module")
def original():
    """sentencepiece itself, which knows the characters that each of its pieces covers."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model())


@pytest.fixture(scope="module")
def plain_tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def own_pieces(doc, windows, original):
    """For each token the pieces that cover one of its characters, as places in all windows."""
    masks = doc._.trf_data.wordpieces.attention_mask
    own = [set() for _ in doc]
    for row, window in enumerate(windows):
        text = window.text.encode()
        pieces = original.encode(window.text, return_type="proto").pieces
        assert len(pieces) + 2 == masks[row].sum()
        for place, piece in enumerate(pieces, start=row * masks.shape[1] + 1):
            # Offsets are in bytes. The mark of a space counts the spaces before its word; of the
            # pieces that one character becomes, all but the last are given no length.
            covered = text[piece.begin : piece.end].decode()
            begin = piece.end - len(covered.lstrip().encode())
            end = max(piece.end, begin + 1)
            for token in window:
                start = len(doc.text[window.start_char : token.idx].encode())
                if begin < start + len(token.text.encode()) and start < end:
                    own[token.i].add(place)
    return own


def pooled_pieces(doc):
    align = doc._.trf_data.align
    return [set(rows.tolist()) for rows in np.split(align.dataXd, np.cumsum(align.lengths)[:-1])]


def misaligned(doc, windows, original):
    pairs = zip(doc, own_pieces(doc, windows, original), pooled_pieces(doc), strict=True)
    return [token.text for token, own, pooled in pairs if own != pooled]


def windows_of(nlp, doc):
    return nlp.get_pipe("transformer").model.attrs["get_spans"]([doc])[0]


@pytest.mark.parametrize("text", NOTES)
def test_every_token_pools_its_own_pieces_and_no_others(nlp, original, text):
    doc = nlp(text)
    assert misaligned(doc, windows_of(nlp, doc), original) == []
    pairs = zip(doc, pooled_pieces(doc), strict=True)
    assert all(pieces or token.is_space for token, pieces in pairs)


def test_without_the_correction_tokens_pool_the_next_tokens_piece(folder, original):
    plain = pipeline(folder, "spacy-transformers.TransformerModel.v3")
    doc = plain(NOTES[0])
    assert len(misaligned(doc, windows_of(plain, doc), original)) > 10


def test_the_mark_of_a_space_goes_with_the_word_after_it(nlp):
    doc = nlp("pain § zz")
    strings = doc._.trf_data.wordpieces.strings[0]
    pooled = [[strings[at] for at in sorted(rows)] for rows in pooled_pieces(doc)]
    assert pooled == [["▁pain"], ["▁", "[UNK]"], ["▁", "z", "z"]]


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=MARK), max_size=80))
def test_the_correction_changes_no_piece(nlp, plain_tokenizer, text):
    corrected = nlp.get_pipe("transformer").model.tokenizer
    mark = corrected.convert_tokens_to_ids(MARK)
    # A mark at the end, of a space before a character that normalising removes, is left out, as
    # sentencepiece itself does.
    ids = plain_tokenizer(text)["input_ids"]
    if ids[-2] == mark:
        del ids[-2]
    assert corrected(text)["input_ids"] == ids


@pytest.mark.parametrize(
    "text",
    ["a " * 2000, "/b+ " * 900, " \n" * 500, "½ ´ ﷺ " * 300, NOTES[0] * 40],
)
def test_no_piece_is_cut_off_whatever_the_text(nlp, text):
    doc = nlp(text)
    data = doc._.trf_data
    assert data.wordpieces.input_ids.shape[1] <= LIMIT
    last = data.wordpieces.attention_mask.sum(axis=1).astype(int) - 1
    assert (data.wordpieces.input_ids[np.arange(len(last)), last] == 2).all()  # [SEP]
    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    whole = tokenizer([window.text for window in windows_of(nlp, doc)], truncation=False)
    assert [len(ids) for ids in whole["input_ids"]] == (last + 1).tolist()


def test_the_correction_is_saved_with_the_model_and_loads_without_the_encoder(
    nlp, original, tmp_path
):
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    doc = loaded(NOTES[0])
    assert misaligned(doc, windows_of(loaded, doc), original) == []
    assert doc._.trf_data.align.dataXd.tolist() == nlp(NOTES[0])._.trf_data.align.dataXd.tolist()


def test_an_encoder_saved_with_the_correction_is_not_corrected_twice(nlp, tmp_path):
    from spacy_clinner.architectures.transformer import align_words

    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    before = tokenizer.backend_tokenizer.to_str()
    align_words(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before


@pytest.mark.parametrize("max_pieces", [383, None])
def test_windows_that_could_be_cut_off_are_refused_with_the_number_that_fits(folder, max_pieces):
    windows = WINDOWS | {"max_pieces": max_pieces}
    with pytest.raises(ClinnerError, match="Set max_pieces = 382"):
        pipeline(folder, spans=windows, use_fast=False)
    assert pipeline(folder, spans=WINDOWS, use_fast=False)("No fever.")
    assert pipeline(folder, spans=windows)("No fever.")


def test_a_tokenizer_without_the_encoders_limit_is_refused(folder):
    with pytest.raises(ClinnerError, match="model_max_length = 512"):
        pipeline(folder, model_max_length=10**9)


@pytest.mark.parametrize("cased", [True, False])
def test_lower_casing_must_be_that_of_the_vocabulary(tmp_path, cased):
    encoder = gatortrons(tmp_path / "encoder", cased=cased)
    with pytest.raises(ClinnerError, match=f"do_lower_case = {str(not cased).lower()}"):
        pipeline(encoder, do_lower_case=cased)
    nlp = pipeline(encoder, do_lower_case=not cased)
    strings = nlp("Patient")._.trf_data.wordpieces.strings[0]
    assert strings == ["[CLS]", "Patient" if cased else "patient", "[SEP]"]


@pytest.mark.parametrize(("kind", "positions"), [("Roberta", 514), ("MPNet", 514), ("Bert", 512)])
def test_positions_that_are_counted_from_the_padding_on_hold_fewer_wordpieces(kind, positions):
    import transformers

    from spacy_clinner.architectures.transformer import most_wordpieces

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=positions,
    )
    encoder = getattr(transformers, f"{kind}Model")(config)
    assert most_wordpieces(encoder) == 512
    import torch

    ids = torch.full((1, 512), 7)
    assert encoder(ids).last_hidden_state.shape[1] == 512
