import json
import zipfile

import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin, Span
from spacy.training import Example
from spacy.util import load_config

pytest.importorskip("spacy_transformers")
from tiny_trainings import TOKENIZER, trained_on_toys
from toy_corpora import toy_note

from spacy_clinner.annotation.said import get_relations
from spacy_clinner.architectures.layered_tagger import score_slices, tags
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.calibration import USUAL_TEMPERATURE
from spacy_clinner.training.distillation import distil, rehearsal
from spacy_clinner.training.learning_on import HeldOut, calibrate, learn_on
from spacy_clinner.training.run import train

pytestmark = pytest.mark.slow

ONE_UPDATE = {"variables.max_steps": 1, "variables.warmup_steps": 1, "variables.eval_frequency": 1}
SHORT = {"variables.max_steps": 12, "variables.warmup_steps": 1, "variables.eval_frequency": 12}
# So small that it changes nothing: what is then different was changed by something else.
NO_RATE = {**ONE_UPDATE, "variables.learn_rate": 1e-20}


def blank():
    return spacy.blank("en", config=TOKENIZER)


@pytest.fixture(scope="module")
def toy(request, tmp_path_factory):
    """A folder with a corpus of two layers with relations, and a model trained on it."""
    return trained_on_toys(tmp_path_factory.mktemp("toy"), request.config.rootpath, SHORT)


@pytest.fixture(scope="module")
def old(toy):
    return toy / "out/model-best"


def notes_of(path, texts, annotate):
    """A corpus of texts, each of which `annotate` gives its spans."""
    nlp = blank()
    docs = [annotate(nlp.make_doc(text)) for text in texts]
    path.parent.mkdir(exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def found(doc, layer):
    return [(span.text, span.label_) for span in doc.spans[layer]]


def wards(doc):
    """A layer of the hospital's own."""
    doc.spans["places"] = [Span(doc, t.i, t.i + 1, label="WARD") for t in doc if t.text == "B7"]
    return doc


# Its words are those of the corpus that the model learned from.
TEXTS = [toy_note(n)[0].replace("daily", "on B7") for n in range(20, 26)]


@pytest.fixture(scope="module")
def new_layer(toy, old, tmp_path_factory):
    """A model that learned a layer of the hospital's own from six notes."""
    folder = tmp_path_factory.mktemp("new")
    notes = notes_of(folder / "notes.spacy", TEXTS, wards)
    facts = learn_on(
        str(old),
        folder / "out",
        overrides={"paths.train": str(notes), "variables.learn_rate": 0.01, **SHORT},
    )
    return folder / "out", facts


def test_a_new_layer_is_learned_beside_the_old_ones(new_layer, old):
    nlp, before = spacy.load(new_layer[0] / "model-best"), spacy.load(old)
    assert nlp.get_pipe("ner").layers == (*before.get_pipe("ner").layers, "places")
    doc = nlp(TEXTS[0].replace("Visit 20", "Visit 9"))
    assert found(doc, "places") == [("B7", "WARD")]
    assert nlp.component_names == before.component_names


def test_what_nobody_annotated_is_not_forgotten(new_layer, old, toy):
    nlp, before = spacy.load(new_layer[0] / "model-best"), spacy.load(old)
    for doc in read_docs(toy / "test.spacy", nlp.vocab):
        assert found(nlp(doc.text), "clinical") == found(before(doc.text), "clinical")
    assert sorted(new_layer[1]["learning_on"]["distilled"]) == ["clinical", "modifiers"]


def test_few_notes_are_held_out_in_turn(new_layer):
    folder, facts = new_layer
    assert facts["learning_on"] | {"distilled": []} == {
        "notes": 6, "held_out": 6, "folds": 2, "rehearsed": 0, "distilled": []
    }  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == ["model-best", "model-last"]
    # The scores are those of models that did not see the notes that they were scored on.
    assert 0.0 <= json.loads((folder / "model-best/meta.json").read_text())["performance"][
        "layers_f"
    ] <= 1.0  # fmt: skip


def test_only_layers_that_annotators_judged_get_another_temperature(new_layer, old):
    now, then = (spacy.load(path).get_pipe("ner").temperatures
                 for path in (new_layer[0] / "model-best", old))  # fmt: skip
    assert now["places"] != 1.0
    assert {layer: now[layer] for layer in then} == then


def test_a_new_layer_of_which_nothing_was_found_is_as_sure_as_is_usual():
    def knows(*layers):
        nlp = blank()
        doc = nlp.make_doc("fever")
        doc.spans.update({layer: [Span(doc, 0, 1, label="X")] for layer in layers})
        nlp.add_pipe("clinner_ner", name="ner").initialize(lambda: [Example(doc, doc)])
        return nlp

    before, nlp = knows("clinical"), knows("clinical", "places")
    calibrate(nlp, [HeldOut({}, {})], before)
    # The first was never calibrated.
    assert nlp.get_pipe("ner").temperatures == {"clinical": 1.0, "places": USUAL_TEMPERATURE}


def test_a_few_notes_leave_confidences_between_the_bounds(new_layer):
    now = spacy.load(new_layer[0] / "model-best").get_pipe("ner").temperatures
    assert 0.5 < now["places"] < 3.0


def test_a_model_names_the_users_paths_and_no_text_of_theirs(new_layer):
    folder = new_layer[0] / "model-best"
    paths = load_config(folder / "config.cfg")["paths"]
    assert paths["train"].endswith("notes.spacy")
    assert paths["dev"] is None
    assert "B7" not in (folder / "vocab/strings.json").read_text()


def drugs(doc):
    """The layer that the model knows, with a label that it does not."""
    doc.spans["clinical"] = [
        Span(doc, t.i, t.i + 1, label=label)
        for t in doc
        for word, label in (("fever", "PROBLEM"), ("aspirin", "DRUG"), ("B7", "WARD"))
        if t.text == word
    ]
    return doc


def test_rows_of_labels_that_are_known_are_kept_and_new_ones_begin_with_what_finds_them(
    old, tmp_path
):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    paths = {"paths.train": str(notes), "paths.dev": str(notes)}
    learn_on(str(old), tmp_path / "out", overrides={**paths, **NO_RATE})
    nlp = spacy.load(tmp_path / "out/model-best")
    heads = [spacy.load(old).get_pipe("ner"), nlp.get_pipe("ner")]
    (before, labels), (after, new_labels) = (
        (ner.model.get_ref("output_layer").get_param("W"), ner.layer_labels) for ner in heads
    )
    assert new_labels["clinical"] == [*labels["clinical"], "WARD"]
    then, now = score_slices(labels)["clinical"].start, score_slices(new_labels)["clinical"].start
    for inside in (0, 1):
        for at, label in enumerate(new_labels["clinical"]):
            row = after[now + 1 + inside * len(new_labels["clinical"]) + at]
            if label == "WARD":
                assert np.abs(row).max() > 0.01
            else:
                kept = before[then + 1 + inside * len(labels["clinical"]) + at]
                assert np.allclose(row, kept)
    # Before anything else learned from the six notes.
    assert ("B7", "WARD") in found(nlp(TEXTS[0]), "clinical")


def weights_of(path):
    """All weights of a model but for the rows of tags, by component and place."""
    found = {}
    for name, component in spacy.load(path).pipeline:
        for at, node in enumerate(component.model.walk() if hasattr(component, "model") else ()):
            for shim in node.shims:
                found |= {(name, at, k): v.numpy() for k, v in shim._model.state_dict().items()}
            if node.name != "linear" or name != "ner":
                found |= {(name, at, k): node.get_param(k) for k in node.param_names}
    return found


def test_a_share_of_the_learned_weights_is_taken_and_the_rest_are_those_of_before(old, tmp_path):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    paths = {"paths.train": str(notes), "paths.dev": str(notes)}
    rate = {"variables.learn_rate": 0.01}
    for share in (1.0, 0.25):
        overrides = {**paths, **ONE_UPDATE, **rate, "variables.learned_share": share}
        learn_on(str(old), tmp_path / f"{share}", overrides=overrides)
    learned, mixed = (tmp_path / f"{share}/model-last" for share in (1.0, 0.25))
    before, after, mean = map(weights_of, (old, learned, mixed))
    moved = [key for key in before if not np.allclose(before[key], after[key])]
    assert {name for name, *_ in moved} == {"transformer", "relations"}
    for key in before:
        np.testing.assert_allclose(mean[key], 0.25 * after[key] + 0.75 * before[key], atol=1e-6)
    heads = [spacy.load(path).get_pipe("ner") for path in (old, learned, mixed)]
    rows = [dict(zip(tags(ner.layer_labels), ner.model.get_ref("output_layer").get_param("W"),
                     strict=True)) for ner in heads]  # fmt: skip
    assert rows[1].keys() == rows[2].keys() > rows[0].keys()
    for tag, then in rows[0].items():
        np.testing.assert_allclose(rows[2][tag], 0.25 * rows[1][tag] + 0.75 * then, atol=1e-6)


def test_of_a_folder_with_several_splits_train_is_learned_and_empty_notes_are_none(old, tmp_path):
    notes_of(tmp_path / "corpus/train.spacy", [*TEXTS[:2], ""], wards)
    notes_of(tmp_path / "corpus/test.spacy", TEXTS, wards)
    paths = {"paths.train": str(tmp_path / "corpus")}
    facts = learn_on(str(old), tmp_path / "out", overrides={**paths, **ONE_UPDATE})
    assert facts["learning_on"]["notes"] == 2


@pytest.mark.parametrize("share", [0, 1.5, "half"])
def test_a_share_that_is_none_is_refused(old, share, tmp_path):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    overrides = {"paths.train": str(notes), "variables.learned_share": share}
    with pytest.raises(ClinnerError, match="learned_share"):
        learn_on(str(old), tmp_path / "out", overrides=overrides)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("training.before_to_disk", None, "--training.before_to_disk: "),
        ("initialize.before_init", None, "--initialize.before_init: "),
        ("corpora.train.max_length", 2, "no document is left to learn from"),
    ],
)
def test_what_nothing_can_be_learned_with_is_refused_in_one_message(
    old, tmp_path, key, value, told
):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    overrides = {"paths.train": str(notes), "paths.dev": str(notes), **ONE_UPDATE, key: value}
    with pytest.raises(ClinnerError, match=told):
        learn_on(str(old), tmp_path / "out", overrides=overrides)


def test_a_file_where_the_models_are_to_be_is_told_of_before_anything_is_learned(old, tmp_path):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    with pytest.raises(ClinnerError, match="a file, where the folder of the models is to be"):
        learn_on(str(old), notes, overrides={"paths.train": str(notes)})


def test_folders_that_are_gone_afterwards_are_not_named(old, tmp_path, capsys):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS[:1], wards)
    learn_on(str(old), tmp_path / "out", overrides={"paths.train": str(notes), **ONE_UPDATE})
    told = capsys.readouterr().out
    assert "Pipeline: [" in told
    assert "Saved pipeline" not in told


def test_the_model_that_is_gone_on_from_is_not_replaced(old, toy, tmp_path):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, drugs)
    with pytest.raises(ClinnerError, match="its model-best is the model to go on from"):
        learn_on(str(old), toy / "out", overrides={"paths.train": str(notes)})


def test_many_notes_are_held_out_by_a_fifth_where_the_dev_corpus_is_empty(old, tmp_path):
    texts = [f"Visit {n}. Denies fever on B7.\n" for n in range(40)]
    notes = notes_of(tmp_path / "notes.spacy", texts, wards)
    again = notes_of(tmp_path / "old.spacy", TEXTS, drugs)
    none = notes_of(tmp_path / "dev.spacy", [], wards)
    facts = learn_on(
        str(old),
        tmp_path / "out",
        overrides={"paths.train": str(notes), "paths.dev": str(none), **ONE_UPDATE},
        rehearse=[again],
    )
    assert facts["learning_on"]["held_out"] == 8
    assert facts["learning_on"]["rehearsed"] == 6


def test_corpora_may_be_folders_and_lists(old, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    paths = [notes_of(folder / f"{n}.spacy", TEXTS[n : n + 2], drugs) for n in (0, 2)]
    overrides = {"paths.train": str(folder), "paths.dev": [*map(str, paths)], **NO_RATE}
    facts = learn_on(str(old), tmp_path / "out", overrides=overrides, rehearse=[folder])
    assert (facts["learning_on"]["notes"], facts["learning_on"]["rehearsed"]) == (4, 4)


def test_a_whole_config_can_begin_with_a_model(old, toy, tmp_path, root):
    paths = {"paths.train": str(toy / "train.spacy"), "paths.dev": str(toy / "dev.spacy")}
    train(
        root / "configs/clinner.cfg",
        tmp_path / "out",
        overrides={**paths, **NO_RATE, "variables.encoder": "none/here"},
        start=str(old),
    )
    then, now = spacy.load(old), spacy.load(tmp_path / "out/model-best")
    (gold, *_) = read_docs(toy / "test.spacy", now.vocab)
    assert found(now(gold.text), "clinical") == found(then(gold.text), "clinical")
    assert load_config(tmp_path / "out/model-best/config.cfg")["components"]["ner"]["factory"]


def test_an_edition_that_cannot_be_trained_is_refused(tmp_path, root):
    with zipfile.ZipFile(root / "tests/models/en_clinner_cpu-0.1.0-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path)
    (edition,) = tmp_path.glob("en_clinner_cpu/en_clinner_cpu-*")
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, wards)
    with pytest.raises(ClinnerError, match="CPU edition"):
        learn_on(str(edition), tmp_path / "out", overrides={"paths.train": str(notes)})


@pytest.mark.parametrize("component", ["sentencizer", "ner"])
def test_a_pipeline_that_does_not_learn_layers_is_refused(component, tmp_path):
    nlp = blank()
    nlp.add_pipe(component)
    nlp.initialize()
    nlp.to_disk(tmp_path / "model")
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, wards)
    with pytest.raises(ClinnerError, match=f"no clinner_ner, .*it has: {component}"):
        learn_on(str(tmp_path / "model"), tmp_path / "out", overrides={"paths.train": str(notes)})
    assert not (tmp_path / "out").exists()


def test_notes_that_annotate_nothing_are_refused(old, tmp_path):
    notes = notes_of(tmp_path / "notes.spacy", TEXTS, lambda doc: doc)
    with pytest.raises(ClinnerError, match="no note there annotates any layer"):
        learn_on(str(old), tmp_path / "out", overrides={"paths.train": str(notes)})


def test_the_model_of_before_links_the_spans_of_annotators(old, toy):
    nlp = spacy.load(old)
    (doc, *_) = read_docs(toy / "test.spacy", nlp.vocab)
    doc = nlp.make_doc(doc.text)
    doc.spans["clinical"] = [Span(doc, 3, 4, label="PROBLEM")]
    assert distil(nlp, [doc]) == ["modifiers"]
    assert {link.head.start for link in get_relations(doc)} <= {3}


def test_as_many_old_words_are_rehearsed_as_there_are_new_ones():
    docs = [*blank().pipe(" ".join(["pain"] * 100) for _ in range(300))]
    assert len(rehearsal(docs, 5)) == 100
    assert len(rehearsal(docs, 20_000)) == 200
    assert rehearsal(docs[:3], 5000)
    assert rehearsal([], 30) == []
