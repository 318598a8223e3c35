import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_clinner.annotation.said import set_relations
from spacy_clinner.annotation.store import set_values
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import spans
from spacy_clinner.evaluation.evaluate import add_intervals, differences, evaluate
from spacy_clinner.evaluation.groups import by_kind, by_section
from spacy_clinner.evaluation.note_counts import note_counts
from spacy_clinner.evaluation.summary import as_markdown

NOTES = ["fever and cough", "no fever today", "cough since monday"] * 4


@pytest.fixture
def corpus(tmp_path):
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in NOTES]
    for doc in docs:
        found = [Span(doc, t.i, t.i + 1, "PROBLEM") for t in doc if t.text in ("fever", "cough")]
        doc.set_ents(found)
        doc.spans["clinical"] = found
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "test.spacy")
    return tmp_path / "test.spacy"


def model(folder, *words, factory="entity_ruler"):
    """A pipeline that finds words."""
    nlp = spacy.blank("en")
    config = {"spans_key": "clinical"} if factory == "span_ruler" else {}
    ruler = nlp.add_pipe(factory, config=config)
    ruler.add_patterns([{"label": "PROBLEM", "pattern": word} for word in words])
    nlp.to_disk(folder)
    return folder


@pytest.mark.parametrize("factory", ["entity_ruler", "span_ruler"])
def test_a_pipeline_is_told_from_another_on_the_same_notes(tmp_path, corpus, factory):
    good = model(tmp_path / "good", "fever", "cough", factory=factory)
    less = model(tmp_path / "less", "fever")
    metrics = evaluate(good, corpus, tmp_path / "out", against=less)
    assert metrics["strict"]["clinical"]["interval"] == (1.0, 1.0)
    against = srsly.read_json(tmp_path / "out/metrics.json")["against"]
    assert against["model"] == "less"
    assert against["strict"]["all"] == against["strict"]["clinical"]
    told = against["strict"]["clinical"]
    assert told["f"] == pytest.approx(2 / 3)
    assert told["value"] == pytest.approx(100 / 3)
    assert 0 < told["low"] < told["value"] < told["high"]


def test_a_corpus_of_one_note_has_scores_without_intervals(tmp_path, corpus):
    (doc, *_) = DocBin().from_disk(corpus).get_docs(spacy.blank("en").vocab)
    DocBin(docs=[doc], store_user_data=True).to_disk(corpus)
    some = model(tmp_path / "some", "fever")
    metrics = evaluate(some, corpus, tmp_path / "out", against=some)
    strict = srsly.read_json(tmp_path / "out/metrics.json")["strict"]
    assert strict["all"]["interval"] is None
    assert strict["clinical"]["per_type"]["PROBLEM"]["interval"] is None
    assert metrics["against"]["strict"]["all"] == {
        "f": pytest.approx(2 / 3), "value": 0, "low": None, "high": None,
    }  # fmt: skip
    told = (tmp_path / "out/metrics.md").read_text()
    assert "| clinical | 2 | 100.0 | 50.0 | 66.7 |  | 66.7 |  |  |  |" in told
    assert "| strict: all | 66.7 | 66.7 | +0.0 |  |" in told


def test_a_pipeline_is_no_better_than_itself(tmp_path, corpus):
    some = model(tmp_path / "some", "fever")
    told = evaluate(some, corpus, tmp_path / "out", against=some)["against"]["strict"]["all"]
    assert (told["value"], told["low"], told["high"]) == (0, 0, 0)


def test_scores_of_spacys_own_are_among_the_metrics(tmp_path, corpus):
    metrics = evaluate(model(tmp_path / "some", "fever"), corpus, tmp_path / "out")
    assert metrics["scores"]["ents_f"] == metrics["strict"]["clinical"]["f"]


def two_layers(path):
    """A corpus with a layer of the hospital's own beside the one that models know."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in NOTES]
    for doc in docs:
        doc.spans["clinical"] = [
            Span(doc, t.i, t.i + 1, "PROBLEM") for t in doc if t.text == "fever"
        ]
        doc.spans["mine"] = [Span(doc, t.i, t.i + 1, "SIGN") for t in doc if t.text == "cough"]
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def test_a_layer_that_is_not_predicted_is_told_of_and_in_no_score_as_spacy_has_it(tmp_path):
    corpus = two_layers(tmp_path / "test.spacy")
    some = model(tmp_path / "some", "fever", factory="span_ruler")
    metrics = evaluate(some, corpus, tmp_path / "out")
    assert metrics["not_predicted"] == ["mine"]
    assert list(metrics["strict"]) == ["clinical", "all"]
    assert metrics["strict"]["all"]["f"] == 1.0
    assert "mine is annotated and not predicted" in (tmp_path / "out/metrics.md").read_text()


def test_a_layer_that_only_one_of_two_pipelines_finds_is_a_difference_between_them(tmp_path):
    corpus = two_layers(tmp_path / "test.spacy")
    less = model(tmp_path / "less", "fever", factory="span_ruler")
    nlp = spacy.load(less)
    ruler = nlp.add_pipe("span_ruler", name="own", config={"spans_key": "mine"})
    ruler.add_patterns([{"label": "SIGN", "pattern": "cough"}])
    nlp.to_disk(tmp_path / "more")
    against = evaluate(tmp_path / "more", corpus, tmp_path / "out", against=less)["against"]
    assert against["strict"]["mine"]["value"] == 100.0
    assert against["strict"]["all"]["value"] > 0
    assert against["not_predicted"] == ["mine"]


@pytest.mark.parametrize("factory", ["sentencizer", "entity_ruler"])
def test_a_pipeline_that_finds_nothing_of_what_gold_has_is_refused(tmp_path, corpus, factory):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe(factory)
    if factory == "entity_ruler":
        ruler.add_patterns([{"label": "DATE", "pattern": "today"}])
    nlp.to_disk(tmp_path / "other")
    with pytest.raises(ClinnerError, match="PROBLEM"):
        evaluate(tmp_path / "other", corpus, tmp_path / "out")


def test_negation_that_nobody_judged_has_no_score(tmp_path, corpus):
    nlp = spacy.load(model(tmp_path / "some", "fever", "cough"))
    nlp.add_pipe("clinner_context")
    nlp.to_disk(tmp_path / "some")
    metrics = evaluate(tmp_path / "some", corpus, tmp_path / "out", against=tmp_path / "some")
    assert metrics["assertion"] == metrics["negated_end_to_end"] == {"clinical": {}}
    assert "negated_end_to_end" not in metrics["against"]


def test_what_a_pipeline_does_not_judge_is_told_of_and_in_no_score(tmp_path, corpus):
    docs = list(DocBin().from_disk(corpus).get_docs(spacy.blank("en").vocab))
    for doc in docs:
        for span in doc.spans["clinical"]:
            set_values(span, negated=doc.text.startswith("no"), experiencer="patient")
    DocBin(docs=docs, store_user_data=True).to_disk(corpus)
    silent = model(tmp_path / "silent", "fever", "cough")
    nlp = spacy.load(silent)
    nlp.add_pipe("clinner_context")
    nlp.to_disk(tmp_path / "judging")
    metrics = evaluate(silent, corpus, tmp_path / "out", against=tmp_path / "judging")
    assert metrics["not_judged"] == [("clinical", "negated"), ("clinical", "experiencer")]
    assert metrics["assertion"] == metrics["negated_end_to_end"] == {"clinical": {}}
    assert "negated_end_to_end" not in metrics["against"]
    sentence = "experiencer of clinical is annotated and not judged: no score tells of it"
    assert sentence in (tmp_path / "out/metrics.md").read_text()
    metrics = evaluate(tmp_path / "judging", corpus, tmp_path / "out", against=silent)
    assert metrics["not_judged"] == []
    assert metrics["negated_end_to_end"]["clinical"]["PROBLEM"]["f"] == 1.0
    assert "negated_end_to_end" not in metrics["against"]
    sentence = "negated of clinical is not judged by silent, and not compared"
    assert sentence in (tmp_path / "out/metrics.md").read_text()


def test_a_pipeline_is_scored_as_it_is_with_a_component_disabled(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_relations")
    gold = [negated_and_linked(nlp.make_doc("no fever today")) for _ in range(2)]
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in gold])
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "clinical"}, first=True)
    ruler.add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    nlp.disable_pipe("clinner_relations")
    nlp.to_disk(tmp_path / "model")
    DocBin(docs=gold, store_user_data=True).to_disk(tmp_path / "test.spacy")
    metrics = evaluate(tmp_path / "model", tmp_path / "test.spacy", tmp_path / "out")
    assert metrics["strict"]["clinical"]["f"] == 1.0
    assert "relations" not in metrics


def test_gold_without_span_groups_or_without_a_span_is_refused_with_that_reason(tmp_path):
    some = model(tmp_path / "some", "fever")
    doc = spacy.blank("en")("no fever")
    doc.set_ents([Span(doc, 1, 2, "PROBLEM")])
    DocBin(docs=[doc]).to_disk(tmp_path / "test.spacy")
    with pytest.raises(
        ClinnerError, match=r"no note has a group in doc\.spans.*To score doc\.ents"
    ):
        evaluate(some, tmp_path / "test.spacy", tmp_path / "out")
    doc.spans["clinical"] = []
    DocBin(docs=[doc]).to_disk(tmp_path / "test.spacy")
    with pytest.raises(ClinnerError, match="has not one span"):
        evaluate(some, tmp_path / "test.spacy", tmp_path / "out")


class Words:
    """A tokenizer that loses what stands between words."""

    def __init__(self, vocab):
        self.vocab = vocab

    def __call__(self, text):
        return Doc(self.vocab, text.split())


def test_a_pipeline_that_changes_the_text_is_refused():
    nlp = spacy.blank("en")
    gold = nlp.make_doc("no  fever\ntoday")
    gold.user_data["note_id"] = "n7"
    nlp.tokenizer = Words(nlp.vocab)
    with pytest.raises(ClinnerError, match="n7: the pipeline's tokenizer changes the text"):
        spans.predict(nlp, [gold])


def test_a_note_that_is_too_long_for_the_pipeline_is_refused_before_any_is_predicted():
    nlp = spacy.blank("en")
    golds = [nlp.make_doc(text) for text in ("no fever", "no fever today")]
    nlp.max_length = 10
    with pytest.raises(ClinnerError, match=r"note 2: 14 characters, .* at most 10"):
        spans.predict(nlp, golds)


def test_an_empty_corpus_cannot_be_scored(tmp_path):
    DocBin().to_disk(tmp_path / "test.spacy")
    with pytest.raises(ClinnerError, match="holds no note"):
        evaluate(model(tmp_path / "some", "fever"), tmp_path / "test.spacy", tmp_path / "out")


def test_scores_are_told_by_section_and_by_kind_of_note(tmp_path):
    nlp = spacy.blank("en")
    docs = []
    for at, text in enumerate(("HPI:\nfever\n\nPLAN:\ncough\n", "PLAN:\nfever and cough\n")):
        doc = nlp.make_doc(text)
        doc.spans["clinical"] = [
            Span(doc, t.i, t.i + 1, "PROBLEM") for t in doc if t.text in ("fever", "cough")
        ]
        doc.user_data["note_id"] = f"n{at}"
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "test.spacy")
    (tmp_path / "kinds.csv").write_text("note_id,kind\nn0,ward\nn1,clinic\n")
    some = model(tmp_path / "some", "fever")
    out = tmp_path / "out"
    metrics = evaluate(some, tmp_path / "test.spacy", out, kinds=tmp_path / "kinds.csv")
    titles = {title: (s["gold"], s["r"]) for title, s in metrics["sections"].items()}
    assert sorted(titles.values()) == [(1, 1.0), (3, pytest.approx(1 / 3))]
    kinds = metrics["kinds"]
    assert {k: (s["notes"], s["gold"]) for k, s in kinds.items()} == dict.fromkeys(
        ("ward", "clinic"), (1, 2)
    )
    assert metrics["speed"]["words"] == 8
    told = (out / "metrics.md").read_text()
    for heading in ("## Layers", "## Labels", "## Sections", "## Kinds of note"):
        assert heading in told
    assert "have no kind" not in told
    (tmp_path / "kinds.csv").write_text("note_id,kind\nn0,ward\n")
    evaluate(some, tmp_path / "test.spacy", out, kinds=tmp_path / "kinds.csv")
    assert "1 of 2 notes have no kind" in (out / "metrics.md").read_text()
    (tmp_path / "kinds.csv").write_text("note_id,kind\n0,ward\n")
    with pytest.raises(ClinnerError, match=r"kinds\.csv: none of its ids is of a note"):
        evaluate(some, tmp_path / "test.spacy", out, kinds=tmp_path / "kinds.csv")
    (tmp_path / "kinds.csv").write_text("id,type\n")
    with pytest.raises(ClinnerError, match="needs the columns note_id and kind"):
        evaluate(some, tmp_path / "test.spacy", out, kinds=tmp_path / "kinds.csv")


def negated_and_linked(doc, wrong=False):
    """Every "no" negates the next word, and is linked to it; `wrong` finds every second one."""
    nos = [token.i for token in doc if token.text == "no"][:: 2 if wrong else 1]
    doc.spans["clinical"] = [Span(doc, at + 1, at + 2, "PROBLEM") for at in nos]
    doc.spans["modifiers"] = [Span(doc, at, at + 1, "NEGATION") for at in nos]
    for span in doc.spans["clinical"]:
        set_values(span, negated=True)
    links = zip(doc.spans["clinical"], doc.spans["modifiers"], strict=True)
    set_relations(doc, ((head, tail, None) for head, tail in links))
    return doc


def test_every_f1_has_an_interval_and_a_difference_to_the_other_pipeline():
    nlp = spacy.blank("en")
    texts = ["PLAN:\nno fever, no cough", "PLAN:\nno rash, no pain, no itch", "PLAN:\nfine"] * 3
    gold = [negated_and_linked(nlp.make_doc(text)) for text in texts]
    good = [Example(negated_and_linked(nlp.make_doc(doc.text)), doc) for doc in gold]
    less = [Example(negated_and_linked(nlp.make_doc(doc.text), wrong=True), doc) for doc in gold]
    layers = ["clinical", "modifiers"]
    places = {
        ("strict", "clinical"), ("strict", "modifiers"), ("strict", "all"),
        ("strict", "clinical", "per_type", "PROBLEM"), ("relaxed", "clinical"),
        ("negated_end_to_end", "clinical", "PROBLEM"), ("negated_end_to_end", "all"),
        ("relations", "end_to_end"), ("relations", "end_to_end", "per_pair", "PROBLEM-NEGATION"),
        ("assertion", "clinical", "negated", "True"), ("kinds", "ward"),
    }  # fmt: skip
    counts = note_counts(less, layers, lambda _: "ward")
    assert places <= counts.keys()
    assert counts["relations", "end_to_end"].tolist() == [[1, 1, 2], [2, 2, 3], [0, 0, 0]] * 3
    found = {
        "strict": spans.strict(less, layers),
        "relaxed": spans.relaxed(less, layers),
        "sections": by_section(counts),
        "kinds": by_kind(less, counts, lambda _: "ward"),
    }
    add_intervals(found, counts)
    for score in (
        found["strict"]["all"],
        found["strict"]["clinical"]["per_type"]["PROBLEM"],
        found["relaxed"]["clinical"],
        next(iter(found["sections"].values())),
        found["kinds"]["ward"],
    ):
        low, high = score["interval"]
        # Two of three, and one of two.
        assert score["f"] == pytest.approx(0.75)
        assert 2 / 3 <= low < score["f"] < high <= 0.8
    told = differences(good, less, lambda _: "ward")
    assert told.keys() == {
        "strict", "labels", "relaxed", "sections", "kinds", "negated_end_to_end", "relations",
        "assertion",
    }  # fmt: skip
    for table in told.keys() - {"assertion"}:
        for row in told[table].values():
            assert row["f"] == pytest.approx(0.75)
            assert 0 < row["low"] <= row["value"] <= row["high"]
    # Of what both found, nothing differs.
    assert {row["value"] for row in told["assertion"].values()} == {0.0}


def test_a_table_of_markdown_stays_one_whatever_a_label_holds(tmp_path, corpus):
    metrics = evaluate(model(tmp_path / "some", "fever"), corpus, tmp_path / "out")
    metrics["sections"] = {"a|b\nc": {"gold": 1, "p": 1.0, "r": 1.0, "f": 1.0}}
    assert "| a\\|b c | 1 | 100.0 | 100.0 | 100.0 |  |" in as_markdown(metrics, "some", "test")
