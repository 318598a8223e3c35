"""A label scheme of the user's own, from its file to what a model says of its spans elsewhere."""

from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config

import spacy_clinner
from spacy_clinner import view
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.evaluation.relations import score_on_gold

MINE = """layer = "mine"

[labels.SIGN_OR_SYMPTOM]
description = "What a patient complains of, or shows"
semantic_group = "Disorders"
aliases = ["sign"]
color = "#abcdef"

[labels.REMEDY]
description = "What is taken against it"
semantic_group = "Chemicals & Drugs"

[pairs]
SIGN_OR_SYMPTOM = ["NO", "BAD"]
"""
WORDS = """layer = "words"
entities = false

[labels.NO]
description = "Words that say there is none"

[labels.BAD]
description = "Words that say how bad it is"
"""
CATALOG = """[own]
format = "brat"
layers = ["mine.toml", "words.toml"]
train = ["raw"]
"""
NOTE = "No fever today. Has bad cough. Takes aspirin.\n"
ANNOTATION = """T1\tsign 3 8\tfever
T2\tsign 24 29\tcough
T3\tREMEDY 37 44\taspirin
T4\tNO 0 2\tNo
T5\tBAD 20 23\tbad
R1\thas Arg1:T1 Arg2:T4
R2\thas Arg1:T2 Arg2:T5
"""
CONFIG = """[paths]
train = null
dev = null

[variables]
layers = null
ents_from = null
schemes = []

[nlp]
lang = "en"
pipeline = ["ner", "relations", "sentences", "sections", "context"]
tokenizer = {"@tokenizers": "clinner.Tokenizer.v1"}

[components]

[components.ner]
factory = "clinner_ner"
layers = ${variables.layers}
ents_from = ${variables.ents_from}

[components.relations]
factory = "clinner_relations"

[components.sentences]
factory = "clinner_sentences"

[components.sections]
factory = "clinner_sections"

[components.context]
factory = "clinner_context"

[initialize]

[initialize.before_init]
@callbacks = "clinner.fit_to_corpus.v1"

[initialize.components]

[initialize.components.ner]
schemes = ${variables.schemes}

[training]
seed = 1
gpu_allocator = null

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}
"""


def write_corpus(here: Path):
    (here / "raw").mkdir()
    files = {"mine.toml": MINE, "words.toml": WORDS, "corpora.toml": CATALOG, "x.cfg": CONFIG}
    for name, content in (files | {"raw/a.txt": NOTE, "raw/a.ann": ANNOTATION}).items():
        (here / name).write_text(content, encoding="utf8")


def convert_corpus():
    blank = spacy.blank("en")
    done = convert(find_corpus("own", Path("corpora.toml")), blank, Path("corpus"))
    assert not done.losses


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Language, list[Example]]:
    """The model after its corpus and scheme are gone, and gold to score it with."""
    here = tmp_path_factory.mktemp("own")
    write_corpus(here)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        convert_corpus()
        paths = {"paths.train": "corpus/train.spacy", "paths.dev": "corpus/train.spacy"}
        nlp = init_nlp(load_config("x.cfg", paths))
        gold = list(DocBin().from_disk("corpus/train.spacy").get_docs(nlp.vocab))
        sgd = nlp.create_optimizer()
        sgd.learn_rate = 0.01
        for _ in range(60):
            nlp.update([Example(nlp.make_doc(doc.text), doc) for doc in gold], sgd=sgd)
        nlp.to_disk("model")
        for file in ("mine.toml", "words.toml", "corpus/schemes.json"):
            Path(file).unlink()
    loaded = spacy.load(here / "model")
    gold = list(DocBin().from_disk(here / "corpus/train.spacy").get_docs(loaded.vocab))
    return loaded, [Example(loaded.make_doc(doc.text), doc) for doc in gold]


def test_its_spans_are_found_judged_and_linked(elsewhere):
    nlp, _ = elsewhere
    doc = nlp(NOTE)
    assert [(ent.text, ent.label_, ent._.layer, ent._.assertion) for ent in doc.ents] == [
        ("fever", "SIGN_OR_SYMPTOM", "mine", "absent"),
        ("cough", "SIGN_OR_SYMPTOM", "mine", "present"),
        ("aspirin", "REMEDY", "mine", "present"),
    ]
    assert [(m.label, m.span.text) for m in doc.ents[1]._.modifiers] == [("BAD", "bad")]
    assert [span._.assertion for span in doc.spans["words"]] == [None, None]
    assert doc.ents[0]._.section is None


def test_its_groups_descriptions_and_colours_travel_with_the_model(elsewhere):
    nlp, _ = elsewhere
    doc = nlp(NOTE)
    assert [ent._.semantic_group for ent in doc.ents] == [
        "Disorders",
        "Disorders",
        "Chemicals & Drugs",
    ]
    assert spacy.explain("SIGN_OR_SYMPTOM") == "What a patient complains of, or shows"
    html = view.render(doc, jupyter=False)
    assert html.count("#abcdef") == 2
    assert view.COLORS["Chemicals & Drugs"] in html
    assert nlp.config["components"]["relations"]["pairs"] == {"SIGN_OR_SYMPTOM": ["NO", "BAD"]}


@pytest.mark.parametrize("path", ["corpus", "corpus/train.spacy"])
def test_it_is_found_in_the_folder_of_a_corpus_and_beside_a_file_of_it(path, tmp_path, monkeypatch):
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    convert_corpus()
    paths = {"paths.train": path, "paths.dev": "corpus/train.spacy"}
    ner = init_nlp(load_config("x.cfg", paths)).get_pipe("ner")
    assert ner.schemes["mine"].labels["REMEDY"].semantic_group == "Chemicals & Drugs"


def test_it_is_scored_as_those_that_come_with_the_package(elsewhere):
    nlp, examples = elsewhere
    scores = nlp.evaluate(examples)
    for name in ("spans_mine_f", "layers_f", "ents_f", "rel_micro_f"):
        assert scores[name] == pytest.approx(1.0), name
    assert score_on_gold(nlp, examples)["rel_gold_micro_f"] == 1.0


def test_relations_may_judge_its_labels(elsewhere):
    nlp, _ = elsewhere
    context = nlp.get_pipe("context")
    context.combine = "relations"
    doc = nlp(NOTE)
    context.combine = "rules"
    said = [spacy_clinner.assertion(ent) for ent in doc.ents]
    # NO is no name for a negation that `clinner_context` knows, and REMEDY has no modifiers.
    assert [item.negated for item in said] == [False, False, False]


def test_two_layers_of_a_pipeline_are_judged_and_that_of_modifiers_is_not():
    nlp = spacy.blank("en")
    for key, word in (("first", "fever"), ("second", "cough"), ("modifiers", "No")):
        config = {"spans_key": key, "annotate_ents": False}
        ruler = nlp.add_pipe("span_ruler", name=key, config=config)
        ruler.add_patterns([{"label": "X", "pattern": word}])
    nlp.add_pipe("clinner_context")
    doc = nlp("No fever, no cough.")
    assert [doc.spans[key][0]._.negated for key in ("first", "second")] == [True, True]
    assert doc.spans["modifiers"][0]._.negated is None
