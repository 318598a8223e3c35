import numpy as np
import pytest
import spacy
from spacy.lang.en import English
from spacy.training import Example
from toy_ner import LAYERS, NOTES, examples_for, make_nlp, reference, spans_of, train

from spacy_clinner.annotation.spans import LABELS


def test_only_annotated_layers_have_a_loss():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    doc = reference(nlp, "No fever .", clinical=[(3, 8, "PROBLEM")])
    losses = nlp.update([Example(nlp.make_doc(doc.text), doc)], sgd=False)
    assert set(losses) == {"ner", "ner_clinical"}
    assert losses["ner"] == pytest.approx(losses["ner_clinical"])


def test_an_annotated_empty_layer_teaches_that_nothing_is_there():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    ner = nlp.get_pipe("ner")
    doc = reference(nlp, "Seen in clinic .", clinical=[])
    example = Example(nlp.make_doc(doc.text), doc)
    scores, _ = ner.model.begin_update([example.predicted])
    _, (gradient,) = ner.get_loss([example], scores)
    n_clinical = 2 * len(ner.layer_labels["clinical"]) + 1
    assert (gradient[:, 0] < 0).all()
    assert (gradient[:, 1:n_clinical] >= 0).all()
    # Nothing stands before the first token that an I could go on with.
    assert (gradient[1:, 1:n_clinical] > 0).all()
    assert (gradient[:, n_clinical:] == 0).all()


def test_corpora_that_annotate_different_layers_mix_in_one_batch():
    nlp = make_nlp()
    docs = []
    for text, clinical, modifiers in NOTES:
        docs.append(reference(nlp, text, clinical=clinical))
        docs.append(reference(nlp, text, modifiers=modifiers))
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=60)
    doc = nlp("Denies knee pain .")
    assert spans_of(doc, "clinical") == [("knee pain", "PROBLEM")]
    assert spans_of(doc, "modifiers") == [("Denies", "NEGATION"), ("knee", "BODYLOC")]


def test_corpora_that_annotate_different_labels_of_a_layer_teach_all_of_them():
    nlp = make_nlp(layers=["clinical"])
    docs = []
    for text, clinical, _ in NOTES:
        for name in ("PROBLEM", "DRUG"):
            docs.append(reference(nlp, text, clinical=[s for s in clinical if s[2] == name]))
            docs[-1].spans["clinical"].attrs[LABELS] = [name]
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=60)
    doc = nlp("No fever . Takes aspirin daily .")
    assert spans_of(doc, "clinical") == [("fever", "PROBLEM"), ("aspirin", "DRUG")]
    assert min(span._.confidence for span in doc.spans["clinical"]) > 0.9


def test_the_gradient_is_that_of_the_loss():
    nlp = make_nlp()
    examples = examples_for(nlp)
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("ner")
    rng = np.random.default_rng(0)
    width = ner.model.get_ref("output_layer").get_dim("nO")
    scores = [rng.normal(size=(len(eg.predicted), width)).astype("f") for eg in examples]
    loss, gradient = ner.get_loss(examples, scores)
    step = 1e-2
    for doc, row, column in [(0, 2, 0), (0, 2, 3), (1, 1, 7), (2, 1, 2)]:
        moved = [array.copy() for array in scores]
        moved[doc][row, column] += step
        slope = (ner.get_loss(examples, moved)[0] - loss) / step
        assert slope == pytest.approx(float(gradient[doc][row, column]), abs=2e-3)


def test_training_on_empty_documents_does_nothing_bad():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    empty = [Example(nlp.make_doc(text), reference(nlp, text, clinical=[])) for text in ("", " ")]
    assert nlp.update(empty[:1], sgd=nlp.create_optimizer())["ner"] == 0.0
    assert np.isfinite(nlp.update([*empty, *examples_for(nlp)])["ner"])


LISTENER = {
    "@architectures": "clinner.LayeredTagger.v1",
    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "*"},
}


def test_it_learns_through_a_tok2vec_listener():
    nlp = English()
    nlp.add_pipe("tok2vec")
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, "model": LISTENER})
    nlp.initialize(lambda: examples_for(nlp))
    train(nlp, examples_for(nlp))
    assert spans_of(nlp("No fever ."), "clinical") == [("fever", "PROBLEM")]
    assert nlp("").spans["clinical"].__len__() == 0
    losses = nlp.update([Example(nlp.make_doc(t), reference(nlp, t, clinical=[]))
                         for t in ("", "No fever .")])  # fmt: skip
    assert np.isfinite(losses["ner"])


def test_it_learns_through_a_transformer_listener(tiny_bert, tmp_path):
    nlp = English()
    spans = {"@span_getters": "clinner.line_windows.v1", "window": 32, "max_pieces": 62}
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tiny_bert),
             "get_spans": spans, "tokenizer_config": {"use_fast": True}}  # fmt: skip
    nlp.add_pipe("transformer", config={"model": model})
    tok2vec = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 1.0,
               "pooling": {"@layers": "reduce_mean.v1"}}  # fmt: skip
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 5.0, "tok2vec": tok2vec}
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, "model": tagger})
    nlp.initialize(lambda: examples_for(nlp))
    first = nlp.update(examples_for(nlp), sgd=nlp.create_optimizer())["ner"]
    last = train(nlp, examples_for(nlp), steps=30)["ner"]
    assert last < 0.6 * first
    texts = ["No fever . " * 100, "", " \n", "Denies knee pain ."]
    docs = list(nlp.pipe(texts))
    assert all(set(doc.spans) == set(LAYERS) for doc in docs)
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    for doc, again in zip(docs, loaded.pipe(texts), strict=True):
        assert spans_of(doc, "clinical") == spans_of(again, "clinical")


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A folder with a BERT of random weights and a vocabulary of the notes' words."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("spacy_transformers")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word.lower() for text, _, _ in NOTES for word in text.split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


# The shape of Hugging Face pipelines
