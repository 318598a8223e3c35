"""One rule: the config is the setting, and what `spacy.load` gets as config wins."""

import pytest
import spacy
import srsly
from spacy.cli.find_threshold import find_threshold
from spacy.lang.en import English
from spacy.tokens import DocBin, Span
from spacy.training import Example

from spacy_clinner.annotation import said, store
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.relations import score_on_gold

TINY = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 32,
        "depth": 1, "embed_size": 500, "window_size": 1, "maxout_pieces": 2,
        "subword_features": False}  # fmt: skip


def gold(nlp):
    doc = nlp.make_doc("No fever today. Has bad cough.")
    fever, cough = (Span(doc, at, at + 1, "SYMPTOM", span_id="mine") for at in (1, 6))
    no, bad = Span(doc, 0, 1, "NEGATION"), Span(doc, 5, 6, "SEVERITY")
    doc.spans["mine"] = [fever, cough]
    doc.spans["signs"] = [no, bad]
    doc.set_ents([fever, cough])
    said.set_relations(doc, [(fever, no, None), (cough, bad, None)])
    for span, negated in ((fever, True), (cough, False)):
        store.set_values(span, negated=negated, assertion="absent" if negated else "present")
    return doc


def examples(nlp):
    doc = gold(nlp)
    return [Example(nlp.make_doc(doc.text), doc)]


@pytest.fixture(scope="module")
def trained():
    nlp = English()
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 1.0, "tok2vec": TINY}
    nlp.add_pipe("clinner_ner", name="ner", config={"model": tagger})
    linker = {"@architectures": "clinner.PairClassifier.v1", "tok2vec": TINY}
    pairs = {"SYMPTOM": ["NEGATION", "SEVERITY"]}
    config = {"model": linker, "entities": "mine", "modifiers": "signs", "pairs": pairs}
    nlp.add_pipe("clinner_relations", name="relations", config=config)
    nlp.add_pipe("clinner_sentences", name="sentences")
    nlp.add_pipe("clinner_sections", name="sections")
    nlp.add_pipe("clinner_context", name="context")
    sgd = nlp.initialize(lambda: examples(nlp))
    sgd.learn_rate = 0.01
    for _ in range(60):
        nlp.update(examples(nlp), sgd=sgd)
    return nlp


@pytest.fixture
def model(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    return tmp_path / "model"


def test_without_layers_all_that_the_examples_annotate_are_learned_as_spancat_does(trained, model):
    assert trained.get_pipe("ner").layers == ("mine", "signs")
    for nlp in (trained, spacy.load(model)):
        doc = nlp("No fever today. Has bad cough.")
        assert [span.text for span in doc.spans["mine"]] == ["fever", "cough"]
        assert [ent.text for ent in doc.ents] == ["fever", "cough"]
        assert [ent._.assertion for ent in doc.ents] == ["absent", "present"]
        assert doc.spans["signs"][0]._.assertion is None


def test_a_change_at_run_time_is_in_the_config_and_comes_back(model, tmp_path):
    nlp = spacy.load(model)
    nlp.get_pipe("ner").threshold["mine"] = 0.25
    nlp.get_pipe("ner").ents_from = ("signs",)
    nlp.get_pipe("relations").threshold = 0.75
    nlp.get_pipe("sentences").overwrite = True
    nlp.get_pipe("context").combine = "either"
    nlp.get_pipe("context").add_cue("zero", category="negated", patterns=["zero"])
    components = nlp.config["components"]
    assert components["ner"]["threshold"]["mine"] == 0.25
    assert components["relations"]["threshold"] == 0.75
    nlp.to_disk(tmp_path / "changed")
    again = spacy.load(tmp_path / "changed")
    assert again.get_pipe("ner").threshold["mine"] == 0.25
    assert [ent.text for ent in again("No fever today. Has bad cough.").ents] == ["No", "bad"]
    assert again.get_pipe("relations").threshold == 0.75
    assert again.get_pipe("sentences").overwrite
    assert again.get_pipe("context").combine == "either"
    assert list(again.get_pipe("context").cues) == ["zero"]


def test_bytes_hold_the_settings_of_every_component(model):
    changed, other = spacy.load(model), spacy.load(model)
    ner, relations = changed.get_pipe("ner"), changed.get_pipe("relations")
    ner.threshold, ner.layers, relations.threshold = {"mine": 0.25}, ["mine"], 0.75
    changed.get_pipe("context").overwrite = True
    other.get_pipe("ner").threshold = {"signs": 0.5}
    other.from_bytes(changed.to_bytes())
    for name in ("ner", "relations", "context"):
        assert other.get_pipe(name).settings == changed.get_pipe(name).settings
        assert other.get_pipe_config(name) == changed.get_pipe_config(name)
    assert other.get_pipe("ner").cfg["threshold"] == {"mine": 0.25}


def test_layers_are_left_out_by_the_attribute_and_come_back(model):
    nlp = spacy.load(model)
    ner = nlp.get_pipe("ner")
    ner.layers = ["signs"]
    assert nlp.get_pipe_config("ner")["layers"] == ["signs"]
    assert set(nlp("No fever today.").spans) == {"signs"}
    with pytest.raises(ClinnerError, match="`layers` names nothing"):
        ner.layers = ["nothing"]
    ner.layers = None
    assert set(nlp("No fever today.").spans) == {"mine", "signs"}


def test_layers_may_be_chosen_before_anything_is_learned():
    nlp = English()
    nlp.add_pipe("clinner_ner", name="ner").layers = ["mine"]
    nlp.initialize(lambda: examples(nlp))
    assert nlp.get_pipe("ner").layer_labels == {"mine": ["SYMPTOM"]}


def test_what_load_is_given_wins_over_the_config(model):
    given = {
        "ner": {"threshold": {"mine": 0.5}, "layers": ["mine"]},
        "relations": {"threshold": 0.9, "reach": 3},
        "context": {"combine": "relations", "span_keys": ["ents"]},
        "sections": {"headers": {"plan": ["to do"]}},
    }
    nlp = spacy.load(model, config={"components": given})
    assert nlp.get_pipe("ner").threshold == {"mine": 0.5, "signs": 0.0}
    assert list(nlp("No fever today.").spans) == ["mine"]
    assert (nlp.get_pipe("relations").threshold, nlp.get_pipe("relations").reach) == (0.9, 3)
    assert nlp.get_pipe("context").combine == "relations"
    assert nlp.get_pipe("context").span_keys == ["ents"]
    assert nlp("To do: rest")._.sections[0].title == "plan"


def test_a_layer_that_was_not_learned_cannot_be_asked_for(model):
    with pytest.raises(ClinnerError, match=r"nope.*mine, signs"):
        spacy.load(model, config={"components": {"ner": {"layers": ["nope"]}}})


def test_disk_holds_what_was_learned_and_no_setting(model):
    assert set(srsly.read_json(model / "ner" / "cfg")) == {"labels", "schemes"}
    assert set(srsly.read_json(model / "relations" / "cfg")) == {"pairs"}
    assert not (model / "context").exists()


def test_settings_that_version_0_1_saved_beside_the_config_are_read(model):
    (model / "context").mkdir()
    old = {"combine": "either", "cues": {"zero": {"category": "negated", "patterns": ["zero"]}}}
    srsly.write_json(model / "context" / "settings.json", old)
    cfg = srsly.read_json(model / "ner" / "cfg")
    srsly.write_json(model / "ner" / "cfg", {**cfg, "layers": ["mine", "signs"]})
    assert spacy.load(model).get_pipe("context").combine == "either"
    given = {"components": {"context": {"combine": "relations"}}}
    nlp = spacy.load(model, config=given)
    assert nlp.get_pipe("context").combine == "relations"
    assert list(nlp.get_pipe("context").cues) == ["zero"]


@pytest.mark.parametrize(
    ("component", "key", "score"),
    [
        ("ner", "threshold", "layers_f"),
        ("ner", "threshold.mine", "spans_mine_f"),
        ("relations", "threshold", "rel_micro_f"),
    ],
)
def test_spacys_search_for_a_threshold_works(model, tmp_path, component, key, score):
    DocBin(docs=[gold(English())], store_user_data=True).to_disk(tmp_path / "dev.spacy")
    dev = tmp_path / "dev.spacy"
    _, best, scores = find_threshold(model, dev, component, key, score, n_trials=4)
    assert best == pytest.approx(1.0)
    assert min(scores.values()) < best


def test_a_note_that_annotates_another_layer_than_the_entities_is_scored_by_that_layer(trained):
    nlp = trained
    doc = gold(nlp)
    del doc.spans["mine"]
    doc.set_ents(list(doc.spans["signs"]))
    scores = nlp.evaluate([Example(nlp.make_doc(doc.text), doc)])
    assert scores["ents_f"] == pytest.approx(1.0)
    assert nlp.evaluate(examples(nlp))["ents_f"] == pytest.approx(1.0)


def test_negation_and_assertion_are_scored_with_the_rest(trained):
    scores = trained.evaluate(examples(trained))
    assert (scores["negated_f"], scores["negated_end_to_end_f"]) == pytest.approx((1.0, 1.0))
    assert scores["assertion_acc"] == 1.0
    assert scores["assertion_per_type"]["absent"]["gold"] == 1
    assert trained.config["training"]["score_weights"]["negated_f"] == 0.0
    doc = trained.make_doc("No fever today.")
    doc.spans["mine"] = [Span(doc, 1, 2, "SYMPTOM")]
    assert trained.evaluate([Example(trained.make_doc(doc.text), doc)])["negated_f"] is None


def test_links_on_gold_spans_are_the_same_whatever_the_pipeline_drops(trained):
    assert score_on_gold(trained, examples(trained))["rel_gold_micro_f"] == 1.0
    assert "rel_gold_micro_f" not in trained.evaluate(examples(trained))


def test_rehearsing_says_that_it_is_not_possible(trained):
    for other in ("ner", "relations"):
        left_out = {"ner", "relations"} - {other}
        with pytest.raises(ClinnerError, match=f"{other}: cannot rehearse"):
            trained.rehearse(examples(trained), exclude=[*left_out])


def test_the_analysis_of_the_pipeline_names_what_each_component_sets(trained):
    analysis = trained.analyze_pipes()
    assert not any(analysis["problems"].values())
    for name, attribute in (
        ("ner", "span._.confidence"),
        ("relations", "span._.modifiers"),
        ("sections", "span._.section"),
        ("context", "span._.negation_cue"),
    ):
        assert analysis["attrs"][attribute]["assigns"] == [name]


def with_rules():
    nlp = English()
    ruler = nlp.add_pipe("entity_ruler")
    # What a plan says by itself holds for what will be given or done.
    ruler.add_patterns([{"label": "DRUG", "pattern": word} for word in ("aspirin", "HTN")])
    for name in ("sentences", "sections", "context", "abbreviations"):
        nlp.add_pipe(f"clinner_{name}", name=name)
    return nlp


def seen(nlp, text="Mine:\nDenies aspirin, HTN"):
    doc = nlp(text)
    said = [(ent._.assertion, ent._.expansion) for ent in doc.ents]
    return [section.title for section in doc._.sections], said


def test_a_setting_that_is_assigned_holds_at_once_and_when_it_is_loaded_again(tmp_path):
    nlp = with_rules()
    assert seen(nlp) == ([None], [("absent", None), ("absent", "hypertension")])
    nlp.get_pipe("sections").headers = {"plan": ["mine"]}
    nlp.get_pipe("abbreviations").short_forms = {"htn": ["mine"]}
    assert seen(nlp) == (["plan"], [("absent", None), ("absent", "mine")])
    nlp.get_pipe("context").disable = ["neg_denies"]
    assert seen(nlp) == (["plan"], [("hypothetical", None), ("hypothetical", "mine")])
    nlp.get_pipe("context").sections = {"plan": ""}
    nlp.get_pipe("context").cues = {"mine": {"category": "uncertain", "patterns": ["perchance"]}}
    expected = (["plan"], [("present", None), ("present", "mine")])
    assert seen(nlp) == expected
    assert seen(nlp, "Perchance aspirin")[1] == [("possible", None)]
    nlp.to_disk(tmp_path)
    assert seen(spacy.load(tmp_path)) == expected


def test_a_setting_that_is_changed_in_place_holds_from_the_next_document():
    nlp = with_rules()
    seen(nlp)
    nlp.get_pipe("context").disable.append("neg_denies")
    nlp.get_pipe("sections").headers["plan"] = ["mine"]
    nlp.get_pipe("abbreviations").short_forms["htn"] = ["mine"]
    assert seen(nlp) == (["plan"], [("hypothetical", None), ("hypothetical", "mine")])
    assert nlp.config["components"]["context"]["disable"] == ["neg_denies"]
    nlp.get_pipe("context").disable.append("nope")
    with pytest.raises(ClinnerError, match="nope"):
        seen(nlp)


WRONG = [
    ("context", "combine", "foo"),
    ("context", "disable", ["nope"]),
    ("context", "disable", "neg_denies"),
    ("context", "cues", {"mine": {"category": "nonsense"}}),
    ("context", "sections", {"plan": "nonsense"}),
    ("context", "span_keys", "ents"),
    ("sections", "headers", {"plan": "mine"}),
    ("sections", "span_keys", [1]),
    ("sentences", "overwrite", "yes"),
    ("abbreviations", "short_forms", {"two words": ["mine"]}),
]


def test_a_setting_that_is_not_right_is_refused_and_changes_nothing():
    nlp = with_rules()
    before, config = seen(nlp), nlp.config.to_str()
    for component, setting, value in WRONG:
        with pytest.raises(ClinnerError):
            setattr(nlp.get_pipe(component), setting, value)
        assert (seen(nlp), nlp.config.to_str()) == (before, config)


@pytest.mark.parametrize(
    ("component", "setting", "value"),
    [
        ("ner", "ents_from", ["nope"]),
        ("ner", "threshold", {"nope": 0.5}),
        ("relations", "threshold", 2),
        ("relations", "floor", -1.0),
        ("relations", "reach", -1),
    ],
)
def test_a_trained_component_refuses_what_it_cannot_do(trained, component, setting, value):
    pipe = trained.get_pipe(component)
    before = getattr(pipe, setting)
    with pytest.raises(ClinnerError):
        setattr(pipe, setting, value)
    assert getattr(pipe, setting) == before


def test_what_was_learned_with_the_weights_cannot_be_assigned(trained):
    with pytest.raises(AttributeError):
        trained.get_pipe("relations").pairs = {}
    ner = trained.get_pipe("ner")
    with pytest.raises(ClinnerError, match="`layers` must name at least one layer"):
        ner.layers = []
    assert ner.layers == ("mine", "signs")
