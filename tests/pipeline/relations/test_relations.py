import pickle

import numpy as np
import pytest
import spacy
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example

from spacy_clinner.annotation import said
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.relations import score_on_gold
from spacy_clinner.pipeline.relations.component import RelationExtractor

# Spans as words with their label; a link as (entity, modifier), both by their words.
NOTES = [
    ("No fever , chills or cough .",
     {"fever": "PROBLEM", "chills": "PROBLEM", "cough": "PROBLEM"}, {"No": "NEGATION"},
     [("fever", "No"), ("chills", "No"), ("cough", "No")]),
    ("Denies rash . Has severe nausea .",
     {"rash": "PROBLEM", "nausea": "PROBLEM"}, {"Denies": "NEGATION", "severe": "SEVERITY"},
     [("rash", "Denies"), ("nausea", "severe")]),
    ("Takes aspirin daily and insulin twice .",
     {"aspirin": "DRUG", "insulin": "DRUG"}, {"daily": "FREQUENCY", "twice": "FREQUENCY"},
     [("aspirin", "daily"), ("insulin", "twice")]),
    ("Has severe headache . No rash or nausea .",
     {"headache": "PROBLEM", "rash": "PROBLEM", "nausea": "PROBLEM"},
     {"severe": "SEVERITY", "No": "NEGATION"},
     [("headache", "severe"), ("rash", "No"), ("nausea", "No")]),
    ("Seen in clinic .", {}, {}, []),
]  # fmt: skip
TINY = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 32,
        "depth": 1, "embed_size": 500, "window_size": 1, "maxout_pieces": 2,
        "subword_features": False}  # fmt: skip


def spans_of(doc, words, layer):
    found = []
    for word, label in words.items():
        start = doc.text.index(word)
        found.append(doc.char_span(start, start + len(word), label=label, span_id=layer))
    return found


def annotate(doc, entities, modifiers):
    doc.spans["clinical"] = spans_of(doc, entities, "clinical")
    doc.spans["modifiers"] = spans_of(doc, modifiers, "modifiers")
    return doc


def reference(nlp, note):
    text, entities, modifiers, linked = note
    doc = annotate(nlp.make_doc(text), entities, modifiers)
    by_text = {span.text: span for group in doc.spans.values() for span in group}
    doc._.relations = [(by_text[head], by_text[tail], None) for head, tail in linked]
    return doc


def examples_for(nlp):
    return [Example(nlp.make_doc(note[0]), reference(nlp, note)) for note in NOTES]


def make_nlp(**config):
    nlp = English()
    model = {"@architectures": "clinner.RelationScorer.v1", "hidden_width": 32,
             "between_width": 8, "tok2vec": TINY}  # fmt: skip
    nlp.add_pipe("clinner_relations", name="relations", config={"model": model, **config})
    return nlp


def train(nlp, steps=40):
    examples = examples_for(nlp)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.005
    losses = {}
    for _ in range(steps):
        losses = nlp.update(examples, sgd=sgd)
    return losses


@pytest.fixture(scope="module")
def trained():
    nlp = make_nlp()
    train(nlp)
    return nlp


def gold_input(nlp, note):
    return annotate(nlp.make_doc(note[0]), note[1], note[2])


def linked_words(doc):
    return [(head.text, tail.text) for head, tail, _ in doc._.relations]


def predictions(nlp, notes=NOTES):
    docs = nlp.pipe([gold_input(nlp, note) for note in notes])
    return [[(h.text, t.text, pytest.approx(c, abs=1e-6)) for h, t, c in doc._.relations]
            for doc in docs]  # fmt: skip


# What it writes


def test_a_negation_is_linked_to_every_entity_of_its_list(trained):
    doc = trained(gold_input(trained, NOTES[0]))
    assert linked_words(doc) == [("fever", "No"), ("chills", "No"), ("cough", "No")]
    for entity in doc.spans["clinical"]:
        (modifier,) = entity._.modifiers
        assert (modifier.label, modifier.span.text) == ("NEGATION", "No")
        assert modifier.span.id_ == "modifiers"
        assert 0.5 <= modifier.confidence <= 1.0


def test_all_training_links_are_found(trained):
    for note in NOTES:
        assert sorted(linked_words(trained(gold_input(trained, note)))) == sorted(note[3])


def test_a_link_carries_the_same_confidence_on_the_doc_and_on_the_entity(trained):
    doc = trained(gold_input(trained, NOTES[1]))
    on_doc = {(head.text, tail.text): confidence for head, tail, confidence in doc._.relations}
    on_spans = {(span.text, m.span.text): m.confidence
                for span in doc.spans["clinical"] for m in span._.modifiers}  # fmt: skip
    assert on_doc == on_spans
    assert len(on_doc) == 2


def test_only_legal_pairs_are_linked_whatever_the_threshold(trained):
    relations = trained.get_pipe("relations")
    relations.threshold = relations.floor = 0.0
    found = set()
    for note in NOTES:
        doc = trained(gold_input(trained, note))
        found |= {f"{head.label_}-{tail.label_}" for head, tail, _ in doc._.relations}
    relations.threshold, relations.floor = 0.5, 0.1
    assert found == {"PROBLEM-NEGATION", "PROBLEM-SEVERITY", "DRUG-FREQUENCY"}
    assert found <= set(relations.labels)


def test_a_second_run_replaces_the_links_of_the_first(trained):
    doc = trained(gold_input(trained, NOTES[0]))
    relations = trained.get_pipe("relations")
    relations.threshold = relations.floor = 1.0
    doc = relations(doc)
    relations.threshold, relations.floor = 0.5, 0.1
    assert doc._.relations == ()
    assert all(entity._.modifiers == () for entity in doc.spans["clinical"])


def test_documents_without_tokens_or_spans_have_no_links(trained):
    for text in ("", " \n", "No fever ."):
        doc = trained(text)
        assert doc._.relations == ()
    empty = trained.make_doc("No fever .")
    empty.spans["clinical"] = []
    assert trained(empty)._.relations == ()


def test_it_works_over_groups_of_spans_under_any_key_and_label():
    nlp = make_nlp(entities="mine", modifiers="cues", pairs={"SYMPTOM": ["CUE"]})
    doc = nlp.make_doc("No fever today")
    doc.spans["mine"] = [Span(doc, 1, 2, label="SYMPTOM"), Span(doc, 2, 3, label="OTHER")]
    doc.spans["cues"] = [Span(doc, 0, 1, label="CUE")]
    gold = doc.copy()
    gold._.relations = [(gold.spans["mine"][0], gold.spans["cues"][0], None)]
    examples = [Example(nlp.make_doc(gold.text), gold)]
    sgd = nlp.initialize(lambda: examples)
    for _ in range(20):
        nlp.update(examples, sgd=sgd)
    assert linked_words(nlp(doc)) == [("fever", "No")]
    assert nlp.get_pipe("relations").labels == ("SYMPTOM-CUE",)


def test_a_batch_gives_what_its_documents_give_alone(trained):
    together = predictions(trained, NOTES * 5)
    assert together == [predictions(trained, [note])[0] for note in NOTES * 5]


# How it learns


def test_the_loss_falls(trained):
    nlp = make_nlp()
    assert train(nlp, steps=40)["relations"] < 0.1 * train(make_nlp(), steps=1)["relations"]


def test_the_gradient_is_that_of_the_loss():
    nlp = make_nlp()
    examples = examples_for(nlp)
    nlp.initialize(lambda: examples)
    relations = nlp.get_pipe("relations")
    docs, candidates = relations._gold_candidates(examples)
    scores = relations.model.predict((docs, candidates.pairs)).astype("f")
    loss, gradient = relations.get_loss(examples, scores)
    for row in (0, len(scores) - 1):
        moved = scores.copy()
        moved[row] += 1e-2
        slope = (relations.get_loss(examples, moved)[0] - loss) / 1e-2
        assert slope == pytest.approx(float(gradient[row, 0]), abs=1e-3)


def test_training_on_documents_without_tokens_spans_or_relations_does_nothing_bad():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    bare = nlp.make_doc("No fever .")
    none = reference(nlp, ("No fever .", {}, {}, []))
    empty = Example(nlp.make_doc(""), nlp.make_doc(""))
    assert nlp.update([empty])["relations"] == 0.0
    for doc in (bare, none):
        assert nlp.update([Example(nlp.make_doc(doc.text), doc), empty])["relations"] == 0.0


def test_gold_spans_are_found_in_a_document_with_other_tokens():
    nlp = make_nlp()
    gold = reference(nlp, NOTES[0])
    words = ["N", "o", "fever", ",", "chills", "or cough", "."]
    spaces = [False, True, True, True, True, True, False]
    predicted = Doc(nlp.vocab, words=words, spaces=spaces)
    relations = nlp.get_pipe("relations")
    _, candidates = relations._gold_candidates([Example(predicted, gold)])
    assert candidates.heads.bounds.tolist() == [[2, 3], [4, 5], [5, 6]]
    assert candidates.tails.bounds.tolist() == [[0, 2]]


def test_gold_relations_come_through_spacys_corpus_reader(tmp_path):
    nlp = make_nlp()
    docs = [reference(nlp, note) for note in NOTES]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    corpus = Corpus(tmp_path / "train.spacy")
    sgd = nlp.initialize(lambda: corpus(nlp))
    sgd.learn_rate = 0.005
    for _ in range(40):
        nlp.update(list(corpus(nlp)), sgd=sgd)
    assert score_on_gold(nlp, list(corpus(nlp)))["rel_gold_micro_f"] == 1.0


def test_a_corpus_without_gold_relations_is_reported(tmp_path):
    nlp = make_nlp()
    docs = [reference(nlp, note) for note in NOTES]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")  # store_user_data was forgotten
    corpus = Corpus(tmp_path / "train.spacy")
    with pytest.raises(ClinnerError, match="store_user_data=True"):
        nlp.initialize(lambda: corpus(nlp))


def test_a_tok2vec_shared_with_ner_is_trained_by_both():
    nlp = English()
    nlp.add_pipe("tok2vec", config={"model": TINY})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "*"}
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 1.0, "tok2vec": listener}
    scorer = {"@architectures": "clinner.RelationScorer.v1", "tok2vec": listener}
    layers = ["clinical", "modifiers"]
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": layers, "model": tagger})
    nlp.add_pipe("clinner_relations", name="relations", config={"model": scorer})
    examples = examples_for(nlp)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01
    for _ in range(60):
        losses = nlp.update(examples_for(nlp), sgd=sgd)
    # The listeners wait for each other's gradient, also where there is no pair to score.
    bare = reference(nlp, ("Seen in clinic .", {}, {}, []))
    nlp.update([Example(nlp.make_doc(bare.text), bare)], sgd=sgd)
    assert np.isfinite(losses["relations"])
    doc = nlp("No fever , chills or cough .")
    assert linked_words(doc) == [("fever", "No"), ("chills", "No"), ("cough", "No")]
    scores = nlp.evaluate(examples_for(nlp))
    assert scores["rel_micro_f"] > 0.8
    assert score_on_gold(nlp, examples_for(nlp))["rel_gold_micro_f"] > 0.8


def test_a_frozen_tok2vec_serves_while_the_component_learns():
    nlp = English()
    nlp.add_pipe("tok2vec", config={"model": TINY})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "*"}
    scorer = {"@architectures": "clinner.RelationScorer.v1", "tok2vec": listener}
    nlp.add_pipe("clinner_relations", name="relations", config={"model": scorer})
    sgd = nlp.initialize(lambda: examples_for(nlp))
    sgd.learn_rate = 0.005
    before = nlp.get_pipe("tok2vec").model.to_bytes()
    for _ in range(40):
        nlp.update(examples_for(nlp), sgd=sgd, exclude=["tok2vec"], annotates=["tok2vec"])
    assert nlp.get_pipe("tok2vec").model.to_bytes() == before
    assert score_on_gold(nlp, examples_for(nlp))["rel_gold_micro_f"] == 1.0


# Scores


def test_scores_are_strict_end_to_end_and_given_on_gold_spans_as_well(trained):
    note = NOTES[1]
    predicted = annotate(trained.make_doc(note[0]), {"rash": "PROBLEM"}, {"Denies": "NEGATION"})
    predicted = trained(predicted)
    examples = [Example(predicted, reference(trained, note))]
    scores = trained.get_pipe("relations").score(examples)
    assert (scores["rel_micro_p"], scores["rel_micro_r"]) == (1.0, 0.5)
    assert scores["rel_per_pair"]["PROBLEM-SEVERITY"]["r"] == 0.0
    assert score_on_gold(trained, examples)["rel_gold_micro_f"] == 1.0
    assert linked_words(predicted) == [("rash", "Denies")]


def test_without_annotated_relations_there_is_no_score(trained):
    doc = trained.make_doc("No fever .")
    examples = [Example(trained(doc.text), doc)]
    assert trained.get_pipe("relations").score(examples)["rel_micro_f"] is None
    assert score_on_gold(trained, examples)["rel_gold_micro_f"] is None


def test_the_best_checkpoint_is_picked_on_links_end_to_end():
    weights = make_nlp().config["training"]["score_weights"]
    assert weights["rel_micro_f"] == 1.0


def test_links_on_gold_spans_are_scored_with_vectors_where_the_pipeline_drops_them():
    nlp = English()
    nlp.add_pipe("tok2vec", config={"model": TINY})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "*"}
    scorer = {"@architectures": "clinner.PairClassifier.v1", "tok2vec": listener}
    nlp.add_pipe("clinner_relations", config={"model": scorer})
    sgd = nlp.initialize(lambda: examples_for(nlp))
    sgd.learn_rate = 0.005
    for _ in range(40):
        nlp.update(examples_for(nlp), sgd=sgd)
    kept = score_on_gold(nlp, examples_for(nlp))
    nlp.add_pipe("clinner_drop_vectors")
    assert score_on_gold(nlp, examples_for(nlp)) == kept
    assert kept["rel_gold_micro_f"] == 1.0


# Options


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pairs": "no_such_scheme"}, "no_such_scheme"),
        ({"pairs": "ncbi"}, "states none"),
        ({"pairs": {}}, "none given"),
        ({"pairs": {"PROBLEM": []}}, "none given"),
        ({"reach": -1}, "reach >= 0"),
        ({"floor": 1.1}, "floor <= 1"),
        ({"threshold": 1.5}, "threshold <= 1"),
    ],
)
def test_wrong_options_are_refused_with_a_reason(config, message):
    with pytest.raises(ClinnerError, match=message):
        make_nlp(**config)


def test_the_default_pairs_are_those_of_the_clinical_scheme():
    labels = make_nlp().get_pipe("relations").labels
    assert len(labels) == 22
    assert labels[0] == "PROBLEM-NEGATION"


# Saving, processes


def test_the_pipeline_survives_disk_bytes_and_pickle(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    copies = [
        spacy.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(trained)),
        spacy.blank("en").from_config(trained.config).from_bytes(trained.to_bytes()),
    ]
    for copy in copies:
        assert predictions(copy) == predictions(trained)
        assert isinstance(copy.get_pipe("relations"), RelationExtractor)


def test_the_pairs_that_were_trained_win_over_the_scheme_of_today(tmp_path):
    nlp = make_nlp(pairs={"PROBLEM": ["NEGATION", "SEVERITY"], "DRUG": ["FREQUENCY"]})
    train(nlp, steps=5)
    nlp.to_disk(tmp_path / "model")
    config = {"components": {"relations": {"pairs": {"PROBLEM": ["NEGATION"]}}}}
    loaded = spacy.load(tmp_path / "model", config=config)
    assert loaded.get_pipe("relations").labels == nlp.get_pipe("relations").labels
    assert predictions(loaded) == predictions(nlp)


def test_links_come_back_from_other_processes(trained):
    docs = [gold_input(trained, note) for note in NOTES * 3]
    alone = [linked_words(trained(gold_input(trained, note))) for note in NOTES * 3]
    assert [linked_words(d) for d in trained.pipe(docs, n_process=2, batch_size=4)] == alone


def test_links_survive_a_docbin_and_a_copy(trained):
    doc = trained(gold_input(trained, NOTES[0]))
    packed = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (loaded,) = DocBin().from_bytes(packed).get_docs(trained.vocab)
    for again in (loaded, doc.copy()):
        assert linked_words(again) == linked_words(doc)
        assert again.spans["clinical"][0]._.modifiers[0].span.text == "No"


def test_gold_set_by_hand_is_kept_when_the_component_is_disabled(trained):
    doc = reference(trained, NOTES[0])
    with trained.select_pipes(disable="relations"):
        doc = trained(doc)
    assert len(said.get_relations(doc)) == 3
