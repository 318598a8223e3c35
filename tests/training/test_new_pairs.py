import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin, Span

pytest.importorskip("spacy_transformers")
from tiny_trainings import TOKENIZER, trained_on_toys
from toy_corpora import toy_note

from spacy_clinner.annotation.said import get_relations, set_relations
from spacy_clinner.schemes import write_schemes
from spacy_clinner.schemes.scheme import scheme_of
from spacy_clinner.training.learning_on import learn_on
from spacy_clinner.training.new_pairs import learn_pairs, linkers, new_pairs, pairs_of

pytestmark = pytest.mark.slow

LENGTH = {"variables.warmup_steps": 1, "variables.learn_rate": 0.01}
LONG = {**LENGTH, "variables.max_steps": 24, "variables.eval_frequency": 24}


@pytest.fixture(scope="module")
def old(request, tmp_path_factory):
    """A model that links, trained on a toy corpus."""
    folder = tmp_path_factory.mktemp("toy")
    return trained_on_toys(folder, request.config.rootpath, LONG) / "out/model-best"


def with_sides(nlp, texts):
    """Documents whose "daily" is the side of the problem before it, in the old layers."""
    docs = []
    for text in texts:
        doc = spacy.blank("en", config=TOKENIZER).make_doc(text.replace("daily", "left"))
        found = nlp(doc.text)
        clinical = [Span(doc, s.start, s.end, s.label_) for s in found.spans["clinical"]]
        sides = [Span(doc, t.i, t.i + 1, "SIDE") for t in doc if t.text == "left"]
        doc.spans["clinical"], doc.spans["modifiers"] = clinical, sides
        heads = [max((s for s in clinical if s.end <= side.start), key=lambda s: s.end)
                 for side in sides]  # fmt: skip
        set_relations(doc, [(head, side, None) for head, side in zip(heads, sides, strict=True)])
        docs.append(doc)
    return docs


def schemes_with(nlp, pairs):
    """The model's schemes, by which more may be linked."""
    data = {name: scheme.as_data() for name, scheme in nlp.get_pipe("ner").schemes.items()}
    for head, tail in pairs:
        data["clinical"]["pairs"].setdefault(head, []).append(tail)
    data["modifiers"]["labels"]["SIDE"] = {"description": "Left or right"}
    return [scheme_of(part, "test") for part in data.values()]


def test_links_of_a_new_pair_are_learned_and_found(old, tmp_path):
    nlp = spacy.load(old)
    docs = with_sides(nlp, [toy_note(n)[0] for n in range(20, 26)])
    head, *_ = docs[0].spans["clinical"]
    # What the component cannot link: it joins "clinical" with "modifiers" alone.
    docs[0].spans["places"] = [Span(docs[0], 0, 1, "WARD")]
    elsewhere = (head, docs[0].spans["places"][0], None)
    set_relations(docs[0], [*get_relations(docs[0]), elsewhere])
    pairs = new_pairs(linkers(nlp), docs)[0]["relations"]
    assert {tail for _, tail in pairs} == {"SIDE"}
    for part in ("train", "dev"):
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{part}.spacy")
    write_schemes(tmp_path / "schemes.json", schemes_with(nlp, pairs))
    overrides = {
        "paths.train": str(tmp_path / "train.spacy"),
        "paths.dev": str(tmp_path / "dev.spacy"),
        "variables.learned_share": 1.0,
        **LONG,
    }
    facts = learn_on(str(old), tmp_path / "out", overrides=overrides)
    assert facts["learning_on"]["not_linked"] == [(head.label_, "WARD")]
    learned = spacy.load(tmp_path / "out/model-best")
    doc = learned(docs[0].text)
    sides = [tail.text for _, tail, _ in doc._.relations if tail.label_ == "SIDE"]
    assert sides == ["left"] * docs[0].text.count("left")
    # What annotators choose from in the next round.
    assert {*pairs} <= learned.get_pipe("ner").schemes["clinical"].linked


def test_what_was_learned_of_other_pairs_stays_as_it_was(old):
    nlp = spacy.load(old)
    relations = nlp.get_pipe("relations")
    text = toy_note(3)[0]
    before = [(h.text, t.text, c) for h, t, c in nlp(text)._.relations]
    heads = list(relations.cfg["pairs"])
    # The first of the heads gets a tail, so that the pairs of the others move.
    learn_pairs(relations, [(heads[0], "SIDE"), ("PLACE", "SIDE")])
    after = [(h.text, t.text, c) for h, t, c in nlp(text)._.relations]
    assert before
    assert [link[:2] for link in after] == [link[:2] for link in before]
    np.testing.assert_allclose([c for *_, c in after], [c for *_, c in before], atol=1e-5)
    assert relations.from_bytes(relations.to_bytes()).cfg["pairs"]["PLACE"] == ["SIDE"]
    assert ("PLACE", "SIDE") in pairs_of(relations.cfg["pairs"])


def test_links_of_layers_that_the_pipeline_does_not_link_are_told_of(old):
    nlp = spacy.load(old)
    docs = with_sides(nlp, [toy_note(20)[0]])
    for doc in docs:
        doc.spans["sides"] = doc.spans.pop("modifiers")
    new, rest = new_pairs(linkers(nlp), docs)
    assert new == {}
    assert {tail for _, tail in rest} == {"SIDE"}


def test_a_frozen_component_learns_no_pair(old):
    nlp = spacy.load(old)
    docs = with_sides(nlp, [toy_note(20)[0]])
    new, rest = new_pairs(linkers(nlp), docs, ["relations"])
    assert new == {}
    assert {tail for _, tail in rest} == {"SIDE"}
