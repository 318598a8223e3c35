import numpy as np
import pytest
import spacy
from spacy.tokens import Span
from spacy.training import Example
from thinc.api import fix_random_seed

from clinner.averaging import average, trained, weights
from clinner.errors import ClinnerError

pytest.importorskip("spacy_transformers")
from tiny_encoders import LIMIT, biomedbert

TEXTS = {"No fever today.": "fever", "Has a cough.": "cough", "Denies chest pain.": "chest pain"}


def examples(nlp, label="PROBLEM"):
    made = []
    for text, found in TEXTS.items():
        doc = nlp.make_doc(text)
        start = text.index(found)
        span = doc.char_span(start, start + len(found), label=label)
        doc.spans["clinical"] = [Span(doc, span.start, span.end, label=label)]
        made.append(Example(nlp.make_doc(text), doc))
    return made


def train(encoder, steps, label="PROBLEM"):
    """A pipeline that went so many steps from a start that is always the same."""
    fix_random_seed(1)
    nlp = spacy.blank("en")
    spans = {"@span_getters": "clinner.line_windows.v1", "max_pieces": None}
    model = {"@architectures": "clinner.TransformerModel.v1", "name": str(encoder),
             "get_spans": spans, "bf16_on_cpu": "no",
             "tokenizer_config": {"use_fast": True, "model_max_length": LIMIT}}  # fmt: skip
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 1.0,
                "pooling": {"@layers": "reduce_mean.v1"}}  # fmt: skip
    nlp.add_pipe("transformer", config={"model": model})
    nlp.add_pipe("clinner_ner", name="ner", config={
        "layers": ["clinical"],
        "model": {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 1.0,
                  "tok2vec": listener},
    })  # fmt: skip
    sgd = nlp.initialize(lambda: examples(nlp, label))
    for _ in range(steps):
        nlp.update(examples(nlp, label), sgd=sgd)
    return nlp


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    encoder = biomedbert(folder / "encoder")
    for steps in (0, 5):
        train(encoder, steps).to_disk(folder / f"{steps}")
    train(encoder, 0, "DISEASE").to_disk(folder / "labels")
    return folder


def weights_of(nlp):
    return {
        (name, key): value
        for name, component in trained(nlp).items()
        for key, value in weights(component.model).items()
    }


def test_each_weight_is_the_mean_of_its_values(models):
    paths = [models / "0", models / "5"]
    first, second = (weights_of(spacy.load(path)) for path in paths)
    found = weights_of(average(paths))
    assert found.keys() == first.keys()
    assert {name for name, key in found if "torch" in key} == {"transformer"}
    assert any("torch" not in key for name, key in found if name == "ner")
    for key, value in found.items():
        np.testing.assert_allclose(value, (first[key] + second[key]) / 2, atol=1e-6, err_msg=key)
    assert any(np.abs(second[key] - first[key]).max() > 1e-4 for key in found)


def test_the_mean_of_a_model_with_itself_predicts_the_same_and_is_saved_whole(models, tmp_path):
    average([models / "5", models / "5"]).to_disk(tmp_path / "mean")
    mean, alone = spacy.load(tmp_path / "mean"), spacy.load(models / "5")
    for doc, expected in zip(mean.pipe(TEXTS), alone.pipe(TEXTS), strict=True):
        spans, wanted = doc.spans["clinical"], expected.spans["clinical"]
        assert [(s.start, s.end, s.label_) for s in spans] == [
            (s.start, s.end, s.label_) for s in wanted
        ]
        np.testing.assert_allclose(
            [s._.confidence for s in spans], [s._.confidence for s in wanted], atol=1e-5
        )


def test_one_model_or_models_of_other_labels_have_no_mean(models):
    with pytest.raises(ClinnerError, match="two pipelines or more"):
        average([models / "0"])
    with pytest.raises(ClinnerError, match="labels: its ner is not that of"):
        average([models / "0", models / "labels"])
