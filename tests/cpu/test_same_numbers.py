"""What spaCy and we print of one pipeline, in either edition, is the same number."""

import io

import pytest
import spacy
import srsly
from commands import clinner
from spacy.cli.evaluate import evaluate as spacy_evaluate
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train
from spacy.util import load_config
from tiny_pipelines import HEADS, WINDOWS, blank, write_corpus

from spacy_clinner.cpu.edition import optimize

LAYERS = ("clinical", "modifiers")


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """Notes of which some annotate one layer only, and one annotates a layer of its own."""
    path = write_corpus(tmp_path_factory.mktemp("dev") / "dev.spacy", range(300, 308))
    docs = list(DocBin().from_disk(path).get_docs(blank().vocab))
    for doc in docs[:2]:
        del doc.spans["modifiers"]
    docs[2].set_ents(list(docs[2].spans["modifiers"]))
    del docs[2].spans["clinical"]
    docs[3].spans["other"] = list(docs[3].ents)
    del docs[3].spans["clinical"], docs[3].spans["modifiers"]
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="module")
def trained_by_spacy(tiny_encoder, dev, tmp_path_factory):
    """Where `spacy train` put a model that is half done, and the table that it printed."""
    folder = tmp_path_factory.mktemp("table")
    nlp = blank()
    model = {
        "@architectures": "clinner.TransformerModel.v1",
        "name": str(tiny_encoder),
        "get_spans": WINDOWS,
        "tokenizer_config": {"use_fast": True},
    }
    nlp.add_pipe("transformer", config={"model": model})
    nlp.add_pipe("clinner_ner", name="ner", config=HEADS["clinner_ner"])
    nlp.config.to_disk(folder / "config.cfg")
    train = write_corpus(folder / "train.spacy", range(12))
    overrides = {
        "paths.train": str(train),
        "paths.dev": str(dev),
        "training.max_steps": 30,
        "training.eval_frequency": 10,
        "training.seed": 1,
        "training.optimizer.learn_rate": 0.002,
    }
    (folder / "models").mkdir()
    table = io.StringIO()
    nlp = init_nlp(load_config(folder / "config.cfg", overrides))
    spacy_train(nlp, folder / "models", stdout=table, stderr=table)
    return folder / "models/model-last", table.getvalue()


@pytest.fixture(scope="module")
def models(trained_by_spacy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("editions") / "edition"
    optimize(trained_by_spacy[0], folder, precision="fp32", force=True)
    return {"torch": trained_by_spacy[0], "cpu": folder}


def shown(value):
    return f"{100 * value:.2f}"


def as_written(scores):
    """With as many digits as JSON gets."""
    return srsly.json_loads(srsly.json_dumps(scores))


def last_row(table):
    """Column to number in the last row of spaCy's table."""
    lines = [line for line in table.splitlines() if line.strip()]
    names = next(line for line in lines if line.startswith("E ")).split("  ")
    names = [name.strip() for name in names if name.strip()]
    row = [line for line in lines if line.split()[0].isdigit()][-1].split()
    return dict(zip(names, row, strict=True))


@pytest.mark.parametrize("kind", ["torch", "cpu"])
def test_nlp_evaluate_spacy_evaluate_and_clinner_evaluate_agree(models, dev, kind, tmp_path):
    nlp = spacy.load(models[kind])
    gold = DocBin().from_disk(dev).get_docs(nlp.vocab)
    ours = as_written(nlp.evaluate([Example(nlp.make_doc(doc.text), doc) for doc in gold]))
    theirs = spacy_evaluate(models[kind], dev, tmp_path / "scores.json")
    done = clinner(tmp_path, "evaluate", models[kind], dev, "--out", "metrics")
    assert done.returncode == 0, done.stderr
    metrics = srsly.read_json(tmp_path / "metrics/metrics.json")
    written = srsly.read_json(tmp_path / "scores.json")
    assert 0 < ours["layers_f"] < 1
    names = {name for name in ours if name.endswith(("_p", "_r", "_f", "_per_type"))}
    assert {"layers_f", "ents_f", *(f"spans_{layer}_f" for layer in LAYERS)} <= names
    for name in names:
        assert ours[name] == written[name] == metrics["scores"][name], name
        assert ours[name] == as_written(theirs[name])
    strict = metrics["strict"]
    assert list(strict) == [*LAYERS, "all"]
    for name, prefix in ((layer, f"spans_{layer}") for layer in LAYERS):
        assert [strict[name][k] for k in "prf"] == [ours[f"{prefix}_{k}"] for k in "prf"]
        per_type = {
            label: {k: s[k] for k in "prf"} for label, s in strict[name]["per_type"].items()
        }
        assert per_type == ours[f"{prefix}_per_type"]
        assert f"{100 * strict[name]['f']:.1f}" in done.stdout
    assert [strict["all"][k] for k in "prf"] == [ours[f"layers_{k}"] for k in "prf"]


def test_the_last_row_of_spacys_table_says_the_same(trained_by_spacy, dev, tmp_path):
    model, table = trained_by_spacy
    scores = spacy_evaluate(model, dev)
    row = last_row(table)
    assert row["#"] == "30"
    assert row["LAYERS_F"] == shown(scores["layers_f"])
    assert row["LAYERS_P"] == shown(scores["layers_p"])
    assert row["ENTS_F"] == shown(scores["ents_f"])


def test_both_editions_have_the_same_numbers(models, dev):
    torch, cpu = (spacy_evaluate(models[kind], dev) for kind in ("torch", "cpu"))
    for name in ("layers_f", "ents_f", *(f"spans_{layer}_f" for layer in LAYERS)):
        assert torch[name] == cpu[name]
