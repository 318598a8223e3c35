import json
from dataclasses import fields

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from tiny_encoders import biomedbert, gatortrons

from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.architectures.decoding import tag_marginals, tag_scores
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.ner.layers import TokenBatch, gold_tags, tagging_loss

SCHEME = {"clinical": ["PROBLEM", "TEST", "DRUG"], "modifiers": ["NEGATION", "BODYLOC"]}
TEXTS = (
    "Denies chest pain.\n\nHas a cough.",
    "Lisinopril 10 mg daily",
    "CXR:\n clear. HR 80, BP 120/80",
    "no fever, no chills",
)


@pytest.fixture
def scripts(scripts, root, monkeypatch):
    """The scripts, run from the root."""
    monkeypatch.chdir(root)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return biomedbert(tmp_path_factory.mktemp("tiny") / "encoder")


@pytest.fixture(scope="module")
def tokenizer(encoder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(encoder)


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})


def annotated(nlp, texts, partial=False, layers=tuple(SCHEME)):
    """Documents with spans here and there; if partial, some of a label that nobody knows, and in
    some documents a layer of which only one label is annotated."""
    rng = np.random.default_rng(0)
    docs = []
    for at, text in enumerate(texts):
        doc = nlp.make_doc(text)
        words = [token.i for token in doc if not token.is_space]
        for layer in layers:
            names = SCHEME[layer] + ["UNHEARD"] * partial
            starts = words[:: int(rng.integers(2, 4))]
            spans = [
                Span(doc, start, start + 1 + int(start + 1 in words and rng.random() < 0.5),
                     label=str(rng.choice(names)))
                for start in starts
            ]  # fmt: skip
            attrs = {LABELS: [names[0], "UNHEARD"]} if partial and at % 2 else {}
            doc.spans[layer] = SpanGroup(doc, name=layer, spans=spans, attrs=attrs)
        docs.append(doc)
    return docs


def tagger_of(encoder, tokenizer, docs):
    """A tagger with heads that say something, the windows of documents, and their arrays."""
    import torch
    from distil import of_tokenizer
    from distillation.documents import of_docs
    from distillation.learning import Special, Tagger, Windows

    arrays = of_docs(docs, tokenizer, SCHEME)
    plan = of_tokenizer(tokenizer, tokenizer)
    windows = Windows(arrays, np.array(plan["renumber"]), torch.device("cpu"))
    torch.manual_seed(0)
    tagger = Tagger(str(encoder), SCHEME, Special(**plan["special"])).eval()
    for parameter in tagger.heads.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return tagger, windows, arrays


def batch_of(docs):
    examples = [
        Example(Doc(d.vocab, [t.text for t in d], [bool(t.whitespace_) for t in d]), d)
        for d in docs
    ]
    return examples, TokenBatch.of([example.predicted for example in examples])


@pytest.mark.parametrize("partial", [False, True])
def test_the_loss_on_a_gpu_is_that_of_the_component(scripts, encoder, tokenizer, nlp, partial):
    import torch

    docs = annotated(nlp, TEXTS * 3, partial)
    # Documents without one of the layers, too.
    docs += annotated(nlp, TEXTS, partial, layers=["modifiers"])
    tagger, windows, arrays = tagger_of(encoder, tokenizer, docs)
    assert arrays.doc.tolist() == list(range(len(docs))), "a window for each document"
    assert partial == any((tags < -1).any() for tags in arrays.tags.values())
    rows = np.arange(len(docs))
    with torch.no_grad():
        vectors = tagger.tokens(windows, rows)
        found = float(tagger.loss(windows, rows, vectors))
        scores = {layer: head(vectors).numpy() for layer, head in tagger.heads.items()}
    examples, batch = batch_of(docs)
    gold = gold_tags(examples, batch, SCHEME)
    losses = [tagging_loss(scores[layer], gold[layer], batch)[0] for layer in SCHEME]
    assert found == pytest.approx(sum(losses) / len(batch), rel=1e-5)


def test_the_gradient_on_a_gpu_is_that_of_the_component(scripts, encoder, tokenizer, nlp):
    import torch

    docs = annotated(nlp, TEXTS, partial=True)
    tagger, windows, _ = tagger_of(encoder, tokenizer, docs)
    rows = np.arange(len(docs))
    vectors = tagger.tokens(windows, rows).detach()
    tagger.loss(windows, rows, vectors).backward()
    examples, batch = batch_of(docs)
    for layer, gold in gold_tags(examples, batch, SCHEME).items():
        head = tagger.heads[layer]
        _, expected = tagging_loss(head(vectors).detach().numpy(), gold, batch)
        bias = torch.from_numpy(expected.sum(axis=0) / len(batch)).float()
        torch.testing.assert_close(head.bias.grad, bias, rtol=1e-4, atol=1e-5)


def test_the_posteriors_on_a_gpu_are_those_of_the_component(scripts, encoder, tokenizer, nlp):
    import torch

    docs = annotated(nlp, TEXTS)
    tagger, windows, _ = tagger_of(encoder, tokenizer, docs)
    rows = np.arange(len(docs))
    with torch.no_grad():
        vectors = tagger.tokens(windows, rows)
    _, batch = batch_of(docs)
    for layer, head in tagger.heads.items():
        scores = tag_scores(head(vectors).detach().numpy(), batch.starts)
        found = tagger.marginals(windows, rows, layer, vectors).numpy()
        np.testing.assert_allclose(found, tag_marginals(scores)[0], atol=1e-5)


def test_the_posteriors_of_a_model_are_the_labels_that_it_cannot_be_bettered_on(
    scripts, encoder, tokenizer, nlp
):
    import torch

    docs = annotated(nlp, TEXTS)
    tagger, windows, _ = tagger_of(encoder, tokenizer, docs)
    rows = np.arange(len(docs))
    vectors = tagger.tokens(windows, rows).detach()
    every = torch.arange(len(vectors))
    windows.soft = {k: tagger.marginals(windows, rows, k, vectors) for k in SCHEME}
    windows.soft_at = dict.fromkeys(SCHEME, every)
    tagger.loss(windows, rows, vectors).backward()
    for head in tagger.heads.values():
        assert float(head.bias.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("partial", [False, True])
def test_arrays_that_are_saved_are_loaded_as_they_were(scripts, tokenizer, nlp, tmp_path, partial):
    from distillation.arrays import load
    from distillation.documents import of_docs

    long = " and a cough".join(TEXTS * 12)
    docs = annotated(nlp, (*TEXTS, "", " \n", long), partial)
    arrays = of_docs(docs, tokenizer, SCHEME)
    assert len(arrays.first) > len(docs), "more windows than documents"
    arrays.save(tmp_path / "arrays.npz")
    loaded = load(tmp_path / "arrays.npz")
    for field in fields(arrays):
        one, other = getattr(arrays, field.name), getattr(loaded, field.name)
        if isinstance(one, dict):
            assert list(one) == list(other)
            assert all(np.array_equal(one[layer], other[layer]) for layer in one)
        else:
            assert np.array_equal(one, other), field.name


def test_a_pipeline_gives_the_scores_of_the_student_that_it_is_assembled_of(
    scripts, encoder, tokenizer, nlp, tmp_path
):
    import distil
    import torch

    docs = annotated(nlp, TEXTS)
    tagger, windows, _ = tagger_of(encoder, tokenizer, docs)
    distil.write_sample(docs, tmp_path)
    (tmp_path / "plan.json").write_text(json.dumps({"labels": SCHEME}))
    state = {name: value.half().numpy() for name, value in tagger.state_dict().items()}
    # As what is too large for a file comes.
    name = "encoder.embeddings.word_embeddings.weight"
    table = state.pop(name)
    np.savez(tmp_path / "student-0.npz", **state, **{f"{name}|0": table[:7]})
    np.savez(tmp_path / "student-1.npz", **{f"{name}|1": table[7:]})
    distil.assemble(encoder, tmp_path, tmp_path, tmp_path / "pipeline")
    loaded = load_pipeline(tmp_path / "pipeline")
    assert loaded.get_pipe("ner").layer_labels == SCHEME
    with torch.no_grad():
        vectors = tagger.tokens(windows, np.arange(len(docs)))
        expected = np.concatenate([head(vectors) for head in tagger.heads.values()], axis=1)
    blank = [loaded.make_doc(text) for text in TEXTS]
    blank = list(loaded.get_pipe("transformer").pipe(blank))
    found = np.concatenate(loaded.get_pipe("ner").model.predict(blank))
    kept = TokenBatch.of(blank).kept
    # The student's numbers are stored in half precision.
    np.testing.assert_allclose(found[kept], expected, atol=0.02)


def test_a_teacher_whose_pieces_are_others_is_refused(scripts, tokenizer, tmp_path):
    from distil import of_tokenizer
    from transformers import AutoTokenizer

    cased = AutoTokenizer.from_pretrained(gatortrons(tmp_path / "cased"))
    with pytest.raises(ClinnerError, match="has not the pieces"):
        of_tokenizer(cased, tokenizer)


CONFIG = """
gold = {{ "{gold}" = 1.0, "{gold}#modifiers" = 1.0 }}
dev = {{ files = ["{gold}"] }}
evaluate = {{ files = ["{gold}"] }}
texts.notes = {{ layers = ["clinical"], files = ["{texts}"], limit = 100 }}
folds = {{ count = 2, seconds = 0.1, layers = ["clinical"], corpora = ["{gold}"], beside = [] }}

[teacher]
encoder = "some/large-encoder"
adapt_seconds = 0.1
adapt_rate = 1e-4
seconds = 0.1
rate = 1e-4
size = 512

[student]
adapt_seconds = 0.1
adapt_rate = 1e-4
seconds = 0.3
rate = 1e-4
size = 512
texts = {{ notes = 1.0 }}
"""


def test_from_corpora_and_texts_to_a_pipeline_without_the_labels_of_an_earlier_teacher(
    scripts, encoder, nlp, tmp_path
):
    import distil
    import torch
    from distillation import on_gpu

    teacher, arrays, learned = (tmp_path / name for name in ("teacher", "arrays", "learned"))
    biomedbert(teacher)
    docs = annotated(nlp, TEXTS)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "gold.spacy")
    (tmp_path / "texts").mkdir()
    words = " and ".join(TEXTS)
    for at in range(3):
        (tmp_path / f"texts/{at}.txt").write_text(f"{at} {words}")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(gold=tmp_path / "gold.spacy", texts=tmp_path / "texts"))
    distil.prepare(str(encoder), str(teacher), arrays, config)
    learned.mkdir()
    (learned / "notes.pt").write_bytes(b"of an earlier teacher")
    np.savez(learned / "student-9.npz", **{"heads.clinical.bias": np.zeros(1)})
    # What `learn` does, which has a process for each.
    distil.remove_earlier(learned)
    on_gpu.teach(arrays, str(teacher), learned, torch.device("cpu"))
    on_gpu.learn_from(arrays, str(encoder), learned, torch.device("cpu"))
    distil.assemble(encoder, arrays, learned, tmp_path / "pipeline")
    nlp = load_pipeline(tmp_path / "pipeline")
    assert set(nlp(TEXTS[0]).spans) == set(SCHEME)
    made = {facts["model"]: facts for facts in nlp.meta["made"]}
    assert [one["what"] for one in made["teacher"]["steps"]] == [
        "masked words", "gold", "labels for notes",
    ]  # fmt: skip
    assert [one["what"] for one in made["student"]["steps"]] == [
        "masked words", "gold and the teacher's labels",
    ]  # fmt: skip
    assert made["teacher"]["encoder"] == "some/large-encoder"
    assert made["student"]["steps"][1]["updates"] > 0
    assert made["student"]["seconds"] > 0
    with np.load(learned / "folds.npz") as folds:
        assert folds["gold0 clinical"].any(axis=1).all(), "every token is in one fold"
