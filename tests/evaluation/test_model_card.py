"""The card says what was measured of the model, and nothing else."""

import copy
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import spacy
import srsly
from hypothesis import given
from hypothesis import strategies as st
from spacy.cli.package import generate_readme
from spacy.lang.en import English
from spacy.training import Example

from spacy_clinner import schemes
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.model_card import (
    CardInputs,
    card_facts,
    package_meta,
    read_probes,
    render,
    write_meta,
)
from spacy_clinner.evaluation.model_card.facts import source
from spacy_clinner.evaluation.model_card.markdown import number, percent, table
from spacy_clinner.files import read_toml
from spacy_clinner.training import provenance

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
METRICS = {
    "notes": 71,
    "strict": {
        "clinical": {
            "p": 0.6113, "r": 0.6227, "f": 0.6331, "gold": 3511,
            "per_type": {
                "PROBLEM": {"p": 0.5119, "r": 0.5223, "f": 0.5337, "gold": 2311},
                "DRUG": {"p": 0.4141, "r": 0.4253, "f": 0.4367, "gold": 1201},
            },
        },
        "all": {"p": 0.7171, "r": 0.7283, "f": 0.7397, "gold": 4001},
    },
    "relaxed": {"clinical": {"f": 0.8179}},
    "calibration_error": {"clinical": 0.0391},
    "assertion": {
        "clinical": {"negated": {"True": {"p": 0.9203, "r": 0.9311, "f": 0.9427, "gold": 701}}}
    },
    "relations": {
        "end_to_end": {
            "p": 0.3109, "r": 0.3221, "f": 0.3337, "gold": 907,
            "per_pair": {"DRUG-DOSAGE": {"p": 0.2111, "r": 0.2227, "f": 0.2333, "gold": 46}},
        },
        "gold_spans": {
            "p": 0.9601, "r": 0.9713, "f": 0.9829,
            "per_pair": {"DRUG-DOSAGE": {"f": 0.9967}},
        },
    },
}  # fmt: skip
CONVERSION = {
    "annotated": {
        split: {"clinical": n} for split, n in (("train", 53), ("dev", 17), ("test", 71))
    },
    "spans": {"train": {"clinical/DRUG": 7}, "dev": {}, "test": {"clinical/DRUG": 4001}},
    "gold_spans": 4457,
    "losses": {"snapped to token boundaries": 13},
}
TRAINING = {
    "started": "2031-02-03T04:05:06+00:00",
    "seconds": 7200,
    "steps": 843,
    "words": 98765,
    "words_per_second": 876,
    "hardware": {"cpu": "Some Processor", "cores": 4, "gpu": None},
    "versions": {"spacy": "3.8.18"},
}
BENCHMARK = {
    "machine": {"cpu": "Other Processor", "cores": 6},
    "speed": {
        "int8": {"words_per_second": {"median": 21987.0, "low": 20123.0, "high": 22456.0}},
        "stock": {"words_per_second": 4321.0, "peak": 987e6},
        "newcomer": {"title": "A | system", "words_per_second": None},
    },
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    nlp = English()
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": ["clinical"]})
    doc = nlp.make_doc("Denies fever . Takes aspirin .")
    spans = [(7, 12, "PROBLEM"), (21, 28, "DRUG")]
    doc.spans["clinical"] = [doc.char_span(start, end, label=name) for start, end, name in spans]
    doc.set_ents(list(doc.spans["clinical"]))
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    nlp.add_pipe("clinner_sentences", name="sentences")
    nlp.add_pipe("clinner_context", name="context")
    folder = tmp_path_factory.mktemp("training") / "model-best"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def inputs(model, tmp_path, root):
    def write(metrics=METRICS, **more):
        for name, content in (("metrics", metrics), ("conversion", CONVERSION), *more.items()):
            srsly.write_json(tmp_path / f"{name}.json", content)
        return CardInputs(
            model=model,
            metrics=tmp_path / "metrics.json",
            name="en_mine",
            version="4.5.6",
            corpora={"sample": ["clinical"]},
            conversion=tmp_path / "conversion.json",
            sources=root / "configs/sources.toml",
            encoder="sentence-transformers/all-MiniLM-L6-v2",
            **{name: tmp_path / f"{name}.json" for name in more},
        )

    return write


@pytest.fixture
def facts(inputs):
    return card_facts(inputs(training=TRAINING, benchmark=BENCHMARK))


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    else:
        yield path, value


def changed(tree, path):
    tree = copy.deepcopy(tree)
    *above, last = path
    inner = tree
    for key in above:
        inner = inner[key]
    inner[last] += 0.25 if isinstance(inner[last], float) else 1000
    return tree


def test_every_score_of_the_metrics_is_in_the_card_and_changes_it(facts):
    card = render(facts)
    shown = [path for path, _ in leaves(METRICS)]
    # Of the links on gold spans the card gives F1 alone.
    shown = [p for p in shown if not (p[:2] == ("relations", "gold_spans") and p[2] in ("p", "r"))]
    assert len(shown) > 25
    for path in shown:
        other = dict(facts, metrics=changed(METRICS, path))
        assert render(other) != card, path


def test_every_figure_of_training_benchmark_and_conversion_changes_the_card(facts):
    card = render(facts)
    for path in (
        ("seconds",),
        ("steps",),
        ("words",),
        ("words_per_second",),
        ("hardware", "cores"),
    ):
        assert render(dict(facts, training=changed(TRAINING, path))) != card, path
    for name in ("median", "low", "high"):
        path = ("speed", "int8", "words_per_second", name)
        faster = copy.deepcopy(BENCHMARK)
        faster["speed"]["int8"]["words_per_second"][name] += 1000
        assert render(dict(facts, benchmark=faster)) != card, path
    for split in ("train", "dev", "test"):
        more = changed(facts["sources"], (0, "documents", split))
        assert render(dict(facts, sources=more)) != card


def test_every_number_of_the_card_comes_from_the_facts(facts):
    facts = dict(facts, training=None)
    allowed = {number(sum(facts["architecture"]["parameters"].values()))}
    allowed |= {str(len(labels)) for labels in facts["layers"].values()}
    allowed |= {str(len(facts["probes"])), str(sum(p["is_right"] for p in facts["probes"]))}
    for path, value in leaves(facts):
        allowed |= set(NUMBER.findall(" ".join(map(str, path))))
        if isinstance(value, str):
            allowed |= set(NUMBER.findall(value))
        elif value is not None:
            shown = {number(value), str(value), percent(value), percent(1 - value)}
            allowed |= {*shown, number(value / 1e6)}
    card = render(facts).replace("F1", "F")
    assert set(NUMBER.findall(card)) <= allowed


def test_the_card_says_what_is_not_recorded(inputs):
    card = render(card_facts(inputs()))
    assert "## Speed\n\nNot recorded." in card
    assert "## Training, hardware and carbon\n\nNot recorded." in card
    assert "| trained with | not recorded |" in card


def test_energy_and_carbon_follow_from_the_inputs_that_are_shown(facts):
    energy = facts["statements"]["energy"]
    watts = energy["watts_per_core"] * 4
    card = render(facts)
    assert f"2.00 h × {watts} W = {2 * watts / 1000:.3f} kWh" in card
    assert (
        f"| carbon dioxide, estimated | {2 * watts / 1000 * energy['grams_per_kwh']:.1f} g |"
        in card
    )
    assert "Some Processor, 4 logical cores" in card


MADE = [
    {
        "model": "teacher", "encoder": "sentence-transformers/all-mpnet-base-v2",
        "parameters": 109000001, "gpu": "Some GPU", "seconds": 1800,
        "steps": [
            {"what": "masked words", "seconds": 41, "updates": None, "tokens": 8000003},
            {"what": "gold", "seconds": 127, "updates": 1237, "tokens": None},
        ],
    },
    {"model": "student", "cpu": "Some Processor",
     "steps": [{"what": "gold", "seconds": 7200, "updates": 843, "kept": 811, "tokens": 98765}]},
    {"model": "released", "steps": [{"what": "mean of the weights of the two above"}]},
]  # fmt: skip


@pytest.fixture
def of_teacher(inputs):
    return card_facts(inputs(training=TRAINING | {"made": MADE}))


def test_a_model_that_had_a_teacher_tells_of_it_and_of_every_step(of_teacher):
    card = render(of_teacher)
    assert "## How it was made" in card
    assert "[sentence-transformers/all-mpnet-base-v2](https://huggingface.co/" in card
    assert (
        "Apache-2.0, 109,000,001 weights | masked words, 8,000,003 tokens of text | Some GPU"
        in card
    )
    assert "| teacher | gold | Some GPU | 127 s | 1,237 |" in card
    assert (
        "| student | gold, 98,765 tokens of text | Some Processor | 7,200 s | 843, kept the" in card
    )
    assert "| released | mean of the weights of the two above | – | – | – |" in card
    assert "| updates, last training | 843 done" in card
    for path in ((0, "parameters"), (0, "seconds"), (0, "steps", 1, "updates"),
                 (1, "steps", 0, "kept")):  # fmt: skip
        assert render(dict(of_teacher, made=changed(of_teacher["made"], path))) != card, path
    for lines in tables(card):
        assert {len(line) for line in lines} == {len(lines[0])}


def test_the_teachers_gpu_is_in_the_estimate_and_its_encoder_among_the_sources(of_teacher):
    energy = of_teacher["statements"]["energy"]
    watts = 4 * energy["watts_per_core"]
    spent = (2 * watts + 0.5 * energy["watts_per_gpu"]) / 1000
    card = render(of_teacher)
    assert f"2.00 h × {watts} W + 0.50 h × {energy['watts_per_gpu']} W = {spent:.3f} kWh" in card
    assert "neither trials, nor the pretraining of the encoders" in card
    names = [source["name"] for source in package_meta(of_teacher, card)["sources"]]
    assert names[-1] == "sentence-transformers/all-mpnet-base-v2"


def test_a_model_of_one_training_has_no_steps_to_tell(facts):
    card = render(facts)
    assert "## How it was made" not in card
    assert "last training" not in card


def test_the_facts_of_the_released_model_are_complete(inputs, root):
    released = srsly.read_json(root / "configs/training-0.2.0.json")
    card = render(card_facts(inputs(training=released)))
    assert "| 1,232 |" in card
    assert "| 1,080, kept the model after 810 |" in card
    assert "NVIDIA H200" in card


def test_the_speed_table_takes_summaries_plain_numbers_and_systems_it_does_not_know(facts):
    card = render(facts)
    assert "| en_clinner_cpu, int8 | 21,987 | 20,123 to 22,456 | – |" in card
    assert "| 4,321 | – | 987 |" in card
    assert r"| A \| system | – | – | – |" in card


def test_scores_are_shown_by_kind_of_text(inputs, tmp_path):
    own = {"strict": {"clinical": {"p": 0.5, "r": 0.25, "f": 1 / 3, "gold": 8}}, "notes": 4}
    own["negated_end_to_end"] = {"clinical": {"PROBLEM": {"f": 0.8765}}}
    srsly.write_json(tmp_path / "own.json", own)
    given = replace(inputs(), kinds={"shorthand": tmp_path / "own.json"})
    card = render(card_facts(given))
    assert "### By kind of text" in card
    assert "| shorthand | 4 | clinical | 8 | 50.0 | 25.0 | 33.3 | 87.7 |" in card


def test_a_cpu_edition_shows_what_quantisation_took(inputs):
    before = changed(METRICS, ("strict", "clinical", "f"))
    card = render(card_facts(inputs(base_metrics=before)))
    row = next(line for line in card.splitlines() if line.startswith("| clinical | The sample"))
    assert row.endswith(f"| {percent(before['strict']['clinical']['f'])} |")


def tables(markdown):
    """Each table as its lines of cells."""
    found = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
            found[-1].append(re.split(r"(?<!\\)\|", line)[1:-1])
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def test_every_table_of_the_card_is_well_formed(facts):
    found = tables(render(facts))
    assert len(found) >= 10
    for lines in found:
        assert {len(line) for line in lines} == {len(lines[0])}
        assert all(set(cell.strip()) <= {"-", ":"} for cell in lines[1])
        assert len(lines) > 2


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_no_text_breaks_a_table(rows):
    printed = table(("a", "b"), rows)
    assert len(printed.split("\n")) == len(rows) + 2
    (lines,) = tables(printed.replace("\\\\", ""))
    assert {len(line) for line in lines} == {2}


def test_the_meta_holds_the_facts_and_writing_it_twice_changes_nothing(facts, model, tmp_path):
    nlp = spacy.load(model)
    nlp.to_disk(tmp_path / "copy")
    card = render(facts)
    write_meta(tmp_path / "copy", package_meta(facts, card))
    once = (tmp_path / "copy" / "meta.json").read_text(encoding="utf8")
    write_meta(tmp_path / "copy", package_meta(facts, card))
    assert (tmp_path / "copy" / "meta.json").read_text(encoding="utf8") == once
    meta = spacy.load(tmp_path / "copy").meta
    assert meta["license"] == "MIT AND Apache-2.0"
    assert meta["performance"]["clinical_f"] == METRICS["strict"]["clinical"]["f"]
    assert [s["license"] for s in meta["sources"]] == ["MIT", "Apache-2.0"]
    assert card.strip() in generate_readme(meta)


def test_the_answers_of_the_model_are_compared_whole(model, inputs, tmp_path):
    path = tmp_path / "probes.toml"
    nlp = spacy.load(model)
    text = "Denies fever."
    doc = nlp(text)
    found = [f"{s.label_} {s.text}" for s in doc.spans["clinical"]]
    entry = "[[probes]]\ntopic = 'x'\ntext = {}\nright = {}\n"
    path.write_text(
        entry.format(json.dumps(text), json.dumps(found))
        + entry.format(json.dumps(text), json.dumps([*found, "TEST Denies (family)"]))
        + entry.format(json.dumps(text), "[]\nlayer = 'absent'"),
        encoding="utf8",
    )
    given_inputs = inputs()
    outcomes = card_facts(CardInputs(**{**vars(given_inputs), "probes": path}))["probes"]
    assert len(outcomes) == 2
    assert not outcomes[1]["is_right"]
    assert outcomes[0]["found"] == outcomes[1]["found"]


@pytest.mark.parametrize(
    "right", ["PROBLEM cough", "PROBLEM", "PROBLEM fever (absent)"], ids=["words", "form", "mark"]
)
def test_a_right_answer_that_cannot_be_right_is_refused(right, tmp_path):
    path = tmp_path / "probes.toml"
    path.write_text(
        f"[[probes]]\ntopic = 'x'\ntext = 'No fever.'\nright = ['{right}']\n", encoding="utf8"
    )
    with pytest.raises(ClinnerError, match=r"probes\.toml"):
        read_probes(path)


def test_the_shipped_probes_use_labels_of_their_layers():
    probes = read_probes()
    assert len(probes) >= 12
    for probe in probes:
        known = schemes.load(probe.layer).labels
        assert {finding.label for finding in probe.right} <= set(known)


def test_every_corpus_of_the_catalog_has_its_source(root):
    sources = read_toml(root / "configs/sources.toml", "missing")
    catalog = root / "configs/corpora.toml"
    for name in read_toml(catalog, "missing"):
        corpus = find_corpus(name, catalog)
        for part in corpus.parts:
            found = source(sources, part.name)
            assert found["licence"], name


def test_a_model_that_is_not_there_or_has_no_metrics_is_refused(inputs, tmp_path):
    given_inputs = inputs()
    with pytest.raises(ClinnerError, match="no trained pipeline"):
        card_facts(CardInputs(**{**vars(given_inputs), "model": tmp_path}))
    with pytest.raises(ClinnerError, match="evaluate"):
        card_facts(CardInputs(**{**vars(given_inputs), "metrics": tmp_path / "none.json"}))


def test_the_step_writes_card_and_meta_with_the_facts_of_the_training_beside(
    root, model, inputs, tmp_path
):
    given_inputs = inputs()
    folder = tmp_path / "trained"
    (folder / "model-last").mkdir(parents=True)
    spacy.load(model).to_disk(folder / "model-best")
    srsly.write_json(
        folder / "model-last" / "meta.json", {"training": {"seconds": 3600.0, "words": 12345}}
    )
    recorded = provenance.training_facts(folder / "model-best", datetime.now(UTC))
    srsly.write_json(folder / "training.json", recorded)
    (tmp_path / "corpus" / "sample").mkdir(parents=True)
    given_inputs.conversion.rename(tmp_path / "corpus" / "sample" / "conversion.json")
    done = subprocess.run(
        [
            sys.executable, root / "scripts" / "model_card.py", folder / "model-best",
            given_inputs.metrics, "--corpus", "sample", "--converted", tmp_path / "corpus",
            "--out", tmp_path / "CARD.md",
        ],
        cwd=root, env=dict(os.environ, COLUMNS="200"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "CARD.md").read_text(encoding="utf8")
    assert card.startswith("# en_clinner 0.1.0: model card")
    assert "| wall-clock time | 1.00 h |" in card
    assert "| words read, repetitions included | 12,345 |" in card
    assert f"spacy {spacy.__version__}" in card
    assert srsly.read_json(folder / "model-best" / "meta.json")["notes"] == card
