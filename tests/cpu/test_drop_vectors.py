import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from tiny_pipelines import annotate, found_in, make_text

from spacy_clinner.cpu.edition import optimize

TEXTS = ["", *(make_text(seed, 40) for seed in range(300, 304))]


@pytest.fixture
def nlp(trained):
    """The torch edition, which drops the vectors."""
    nlp = spacy.load(trained)
    nlp.add_pipe("clinner_drop_vectors", name="drop_vectors")
    return nlp


def size(docs):
    """Bytes of a document as they are sent between processes and saved."""
    return len(pickle.dumps(docs)), len(DocBin(docs=docs, store_user_data=True).to_bytes())


def test_documents_become_small_and_lose_nothing_else(nlp, trained):
    keeping = spacy.load(trained)
    docs, kept = list(nlp.pipe(TEXTS)), list(keeping.pipe(TEXTS))
    assert [found_in(doc) for doc in docs] == [found_in(doc) for doc in kept]
    assert any(map(found_in, docs))
    assert all(doc._.trf_data is None and doc.tensor.size == 0 for doc in docs)
    blank = [doc.copy() for doc in docs]
    for doc in blank:
        doc.user_data.pop(("._.", "trf_data", None, None))
    for small, large, bare in zip(size(docs), size(kept), size(blank), strict=True):
        assert small < bare + 200 * len(docs)
        assert large > small + 4 * 32 * sum(map(len, docs))
    assert Doc.from_docs(docs).text == Doc.from_docs(kept).text
    assert [token.text for token in docs[1][2:5].as_doc()] == [t.text for t in kept[1][2:5]]


def test_heads_are_trained_and_scored_as_without_it(nlp, trained):
    keeping = spacy.load(trained)
    scores, losses = [], []
    for pipeline in (nlp, keeping):
        golds = [annotate(pipeline.make_doc(text)) for text in TEXTS[1:]]
        examples = [Example(pipeline.make_doc(gold.text), gold) for gold in golds]
        scores.append(pipeline.evaluate(examples)["layers_f"])
        encoder = pipeline.get_pipe("transformer").model.transformer
        for module in encoder.modules():
            for name in {"p", "dropout_prob"} & vars(module).keys():
                setattr(module, name, 0.0)
        losses.append(pipeline.update(examples, sgd=None)["ner"])
        assert any(weight.grad is not None and weight.grad.any() for weight in encoder.parameters())
    assert scores[0] == scores[1] > 0.5
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_it_is_switched_by_the_config(nlp, corpus, tmp_path):
    nlp.disable_pipe("drop_vectors")
    nlp.to_disk(tmp_path / "model")
    assert spacy.load(tmp_path / "model")(TEXTS[1])._.trf_data is not None
    dropping = spacy.load(tmp_path / "model", config={"nlp.disabled": []})
    assert dropping(TEXTS[1])._.trf_data is None
    # Nobody trains the CPU edition: it always drops them.
    optimize(tmp_path / "model", tmp_path / "edition", precision="fp32", dev=corpus)
    edition = spacy.load(tmp_path / "edition")
    assert edition.pipe_names[-1] == "drop_vectors"
    assert edition(TEXTS[1]).tensor.size == 0


PIPE = """
import sys, spacy
nlp = spacy.load(sys.argv[1])
texts = sys.argv[2:]
# One by one in both: what else is in a batch moves the last digits of the vectors.
expected = [doc.to_bytes() for doc in nlp.pipe(texts, batch_size=1)]
assert [doc.to_bytes() for doc in nlp.pipe(texts, n_process=2, batch_size=1)] == expected
"""


def test_processes_send_each_other_the_same_documents(nlp, tmp_path):
    nlp.to_disk(tmp_path / "model")
    # torch's threads do not survive a fork; with one thread there are none.
    command = [sys.executable, "-c", PIPE, str(tmp_path / "model"), *TEXTS[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
