"""The benchmark: fair to its peers, complete, and clear about what is missing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import spacy
from commands import refused
from hypothesis import given
from hypothesis import strategies as st
from thinc.api import Config

PEERS = ("huggingface-1", "huggingface-8", "huggingface-32", "stock")
SYSTEMS = (*PEERS, "torch_bf16", "torch", "int8", "bf16", "fp32", "bare")


@pytest.fixture(scope="module")
def scripts(pytestconfig):
    """Lets tests import the parts of the benchmark, and small pipelines to run it on."""
    folders = [str(pytestconfig.rootpath / name) for name in ("scripts/benchmarks", "tests/cpu")]
    sys.path[:0] = folders
    yield
    for folder in folders:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def project(scripts, tmp_path_factory):
    """A project folder with a small trained `en_clinner` and its corpus, called mine."""
    pytest.importorskip("spacy_transformers")
    pytest.importorskip("openvino")
    from tiny_pipelines import make_encoder, make_text, train, write_corpus

    folder = tmp_path_factory.mktemp("project")
    nlp = train(make_encoder(tmp_path_factory.mktemp("encoder")))
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_context")
    for name in ("training/mine/clinner", "corpus/mine", "texts"):
        (folder / name).mkdir(parents=True)
    nlp.to_disk(folder / "training" / "mine" / "clinner" / "model-best")
    write_corpus(folder / "corpus" / "mine" / "train.spacy", range(20))
    for seed, n_words in enumerate((8, 20, 90, 40)):
        text = "no fever. denies cough and nausea.\n" + make_text(seed, n_words)
        (folder / "texts" / f"{seed}.txt").write_text(text, encoding="utf8")
    return folder


@pytest.fixture
def nlp(project):
    return spacy.load(project / "training" / "mine" / "clinner" / "model-best")


def benchmark(root, project, *options):
    return subprocess.run(
        [sys.executable, root / "scripts/benchmarks/speed.py", "mine", *map(str, options)],
        cwd=project,
        env=dict(os.environ, COLUMNS="200"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("has_setting", [True, False])
def test_a_pipeline_is_made_to_compute_in_bf16_where_it_has_the_setting(
    scripts, tmp_path, has_setting
):
    from throughput.prepare import write_bf16

    settings = {"predict_bf16_on_cpu": "no"} if has_setting else {}
    config = Config({"components": {"transformer": {"model": {"name": "x", **settings}}}})
    (tmp_path / "model").mkdir()
    config.to_disk(tmp_path / "model/config.cfg")
    assert write_bf16(tmp_path / "model", tmp_path / "bf16") is has_setting
    if has_setting:
        written = Config().from_disk(tmp_path / "bf16/config.cfg")
        assert written["components"]["transformer"]["model"]["predict_bf16_on_cpu"] == "auto"


@pytest.mark.slow
def test_one_run_gives_one_table_as_text_json_and_plot(root, project):
    pytest.importorskip("nncf")
    done = benchmark(
        root, project, "--texts", "texts", "--notes", 3, "--repeats", 2, "--loads", 1,
        "--longest", 200, "--soak", 20, "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    folder = project / "metrics" / "benchmark"
    names = {"benchmark.txt", "benchmark.json", "benchmark.png"}
    assert {path.name for path in folder.iterdir()} == names
    results = json.loads((folder / "benchmark.json").read_text(encoding="utf8"))
    speed = results["speed"]
    assert tuple(speed) == SYSTEMS
    for row in speed.values():
        assert len(row["seconds"]) == 2
        assert row["peak"] > 10_000_000
        assert row["words_per_second"]["low"] <= row["words_per_second"]["median"]
    with_torch = [name for name in SYSTEMS if speed[name]["torch_threads"]]
    assert with_torch == [*PEERS, "torch_bf16", "torch"]
    # The head has learned to find entities, and each of ours finds the same.
    assert speed["torch"]["entities"] == speed["fp32"]["entities"] > 0
    assert speed["torch"]["negated"] == speed["fp32"]["negated"] > 0
    assert speed["huggingface-1"]["words"] < speed["torch"]["words"] == results["texts"]["words"]
    assert speed["bare"]["ratios"]["bare"] == 1
    assert set(results["growth"]["length"]) == set(results["growth"]["count"]) == {"torch", "int8"}
    assert results["soak"]["notes_read"][-1] == 20
    shown = (folder / "benchmark.txt").read_text(encoding="utf8")
    assert "untrained ner" in shown
    assert "Soak" in shown
    assert (folder / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_the_classifier_of_transformers_has_the_same_scores(scripts, nlp, tmp_path):
    from throughput.prepare import head, write_hugging_face
    from tiny_pipelines import PIECES, PROBLEMS, WORDS
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    whole = [word for word in WORDS if word in PIECES][:9]
    assert set(whole) & set(PROBLEMS)
    write_hugging_face(nlp, tmp_path)
    doc = nlp(" ".join(whole))
    inputs = AutoTokenizer.from_pretrained(tmp_path)(doc.text, return_tensors="pt")
    model = AutoModelForTokenClassification.from_pretrained(tmp_path)
    logits = model(**inputs).logits[0, 1:-1].detach().numpy()
    tags = head(nlp)[2]
    assert [model.config.id2label[at] for at in range(len(tags))] == tags
    assert tags[0] == "O"
    scores = nlp.get_pipe("ner").model.predict([doc])[0][:, : len(tags)]
    np.testing.assert_allclose(logits, scores, atol=1e-3)


def test_what_hugging_face_reads_fits_and_ends_with_a_whole_word(scripts, nlp):
    from throughput.prepare import cut_texts
    from tiny_pipelines import make_text

    texts = [make_text(seed, n_words) for seed, n_words in enumerate((5, 200, 70, 300))]
    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    for text, cut in zip(texts, cut_texts(nlp, texts), strict=True):
        assert text.startswith(cut)
        assert len(tokenizer(cut).input_ids) <= 64
        words = text.split()
        assert cut.split() == words[: len(cut.split())]
        if cut != text:
            one_more = " ".join(words[: len(cut.split()) + 1])
            assert len(tokenizer(one_more).input_ids) > 64
    assert cut_texts(nlp, texts[:1]) == texts[:1]


def test_another_pipeline_is_not_taken_for_stock_spacy(root, project):
    model = "training/mine/clinner/model-best"
    done = benchmark(
        root, project, "--texts", "texts", "--parts", "speed", "--stock", model,
        "--int8", "nowhere",
    )  # fmt: skip
    assert refused(done, "nowhere: no CPU edition in int8", "clinner optimize")
    from throughput.prepare import check_stock

    from spacy_clinner.errors import ClinnerError

    with pytest.raises(ClinnerError, match="strided spans 128/96"):
        check_stock(project / model)


def test_what_is_missing_is_said_in_one_message(root, project, tmp_path):
    assert refused(benchmark(root, tmp_path, "--parts", "sped"), "sped", "speed, growth, soak")
    assert refused(benchmark(root, tmp_path), "corpus/sample: missing", "--texts")
    texts = project / "texts"
    done = benchmark(root, tmp_path, "--texts", texts)
    assert refused(done, "training/mine/clinner/model-best", "spacy project run all")


def test_a_system_that_does_not_start_says_why(scripts, tmp_path):
    from throughput.processes import System, started

    from spacy_clinner.errors import ClinnerError

    system = System("int8", "spacy", str(tmp_path / "nowhere"), without_torch=True)
    message = r"int8 .*nowhere.* does not run: .*E050"
    with pytest.raises(ClinnerError, match=message), started(system, tmp_path):
        pass


@given(st.lists(st.text("ab \n", max_size=9), max_size=5), st.integers(1, 60))
def test_a_joined_note_has_just_that_many_words(scripts, texts, count):
    from throughput.texts import joined, n_words

    assert n_words([joined(["one word", *texts], count)]) == count


@given(st.integers(1, 40), st.integers(1, 100))
def test_notes_are_taken_evenly(scripts, size, count):
    from throughput.texts import spread

    notes = [str(at) for at in range(size)]
    taken = spread(notes, count)
    often = [taken.count(note) for note in notes]
    assert len(taken) == count
    assert max(often) - min(often) <= 1
    assert spread(notes, size) == notes


@given(st.floats(0.5, 2.0), st.floats(1e-4, 10.0))
def test_the_exponent_is_that_of_the_growth(scripts, power, factor):
    from throughput.parts import exponent

    sizes = [100, 316, 1000, 10_000]
    found = exponent(sizes, [factor * size**power for size in sizes])
    assert found == pytest.approx(power)
    assert exponent([7], [0.1]) is None
