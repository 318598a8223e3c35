"""`clinner_llm` in a pipeline, against real servers."""

import json
import logging
import pickle
import re
import stat
import threading
import time

import pytest
import spacy
from chat_servers import completion, serving, text_asked
from test_chat import silent

from spacy_clinner import schemes
from spacy_clinner.annotation import said
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.corpora.alignment import Aligner
from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.mentions import Passage
from spacy_clinner.llm.passages import Cutter
from spacy_clinner.llm.prompts import FORMATS

LAYERS = [schemes.load("clinical"), schemes.load("modifiers")]
QUICK = {"tries": 2, "first_wait": 0.01, "timeout": 5.0}
NOTE = "Denies fever. Severe knee pain."
ROWS = [
    {"text": "Denies", "label": "NEGATION", "of": [2]},
    {"text": "fever", "label": "PROBLEM"},
    {"text": "knee pain", "label": "problem"},
    {"text": "Severe", "label": "Severity", "of": [3]},
    {"text": "rash", "label": "PROBLEM"},
    {"text": "knee", "label": "JOINT"},
]


def content(rows):
    return json.dumps({"entities": rows})


def make(url="", **settings):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_llm", config={"base_url": url, "model": "m", **QUICK, **settings})
    return nlp


@pytest.fixture(scope="module")
def golds():
    """Ten notes of the sample with their gold."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    nlp = make()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        corpus = find_corpus("sample", root / "configs/corpora.toml")
        notes = [note for split, note in read_splits(corpus) if split == "dev"][:10]
    return [Aligner(nlp, corpus.schemes).align(note)[0] for note in notes]


def right_answers(golds, name, length=100):
    """An answer that knows the gold of every passage of that length."""
    cutter = Cutter(length)
    known = {
        cut.passage.text: FORMATS[name].render(cut.passage)
        for gold in golds
        for cut in cutter.cut(gold, LAYERS)
    }
    return lambda body, _: known[text_asked(body)]


def test_an_answer_becomes_layers_links_and_assertion():
    with serving(lambda *_: content(ROWS)) as (url, _):
        doc = make(url)(NOTE)
    assert [(span.text, span.label_) for span in doc.spans["clinical"]] == [
        ("fever", "PROBLEM"),
        ("knee pain", "PROBLEM"),
    ]
    assert [span.label_ for span in doc.spans["modifiers"]] == ["NEGATION", "SEVERITY"]
    fever, pain = doc.ents
    assert (fever._.negated, fever._.assertion, fever._.negation_cue.text) == (
        True,
        "absent",
        "Denies",
    )
    assert fever._.assertion_evidence == ("modifier:NEGATION",)
    assert (pain._.negated, pain._.assertion, pain._.experiencer) == (False, "present", "patient")
    assert [(label, span.text) for label, span, _ in pain._.modifiers] == [("SEVERITY", "Severe")]
    assert [(r.head.text, r.tail.text) for r in doc._.relations] == [
        ("fever", "Denies"),
        ("knee pain", "Severe"),
    ]
    assert (fever._.layer, fever._.semantic_group, fever._.match) == (
        "clinical",
        "Disorders",
        "exact",
    )
    assert fever._.confidence is None
    assert fever._.historical is None


def test_what_is_not_found_or_has_an_unknown_label_is_dropped_and_counted():
    with serving(lambda *_: content(ROWS)) as (url, _):
        doc = make(url)(NOTE)
    assert doc.user_data["clinner_llm"] == {
        "passages": 1,
        "failed": 0,
        "mentions": {"exact": 4, "not found": 1, "unknown label": 1},
        "unreadable": 0,
        "cached": 0,
    }


def test_a_part_of_a_word_gets_the_whole_of_it_and_is_not_called_exact():
    with serving(lambda *_: content([{"text": "pain", "label": "PROBLEM"}])) as (url, _):
        doc = make(url)("Knee is painful.")
    assert [(ent.text, ent._.match) for ent in doc.ents] == [("painful", "fuzzy")]
    assert doc.user_data["clinner_llm"]["mentions"] == {"fuzzy": 1}


def test_of_overlapping_spans_of_a_layer_the_longest_stays():
    rows = [{"text": words, "label": "PROBLEM"} for words in ("pain", "knee pain")]
    with serving(lambda *_: content(rows)) as (url, _):
        doc = make(url)(NOTE)
    assert [span.text for span in doc.ents] == ["knee pain"]
    assert doc.user_data["clinner_llm"]["mentions"]["overlaps a longer one"] == 1


@pytest.mark.parametrize("name", FORMATS)
def test_right_answers_give_the_gold_spans_links_and_negation(golds, name):
    with serving(right_answers(golds, name)) as (url, requests):
        nlp = make(url, format=name, length=100)
        docs = list(nlp.pipe([gold.text for gold in golds]))
    assert len(requests.bodies) > len(golds)
    linked = 0
    for gold, doc in zip(golds, docs, strict=True):
        for layer in ("clinical", "modifiers"):
            assert set(map(span_key, doc.spans[layer])) == set(map(span_key, gold.spans[layer]))
        if FORMATS[name].links:
            found, wanted = (
                {(span_key(r.head), span_key(r.tail)) for r in said.get_relations(one)}
                for one in (doc, gold)
            )
            # A link may go from one passage to the next.
            assert found <= wanted
            linked += len(found)
            for one in doc.spans["clinical"]:
                assert one._.negated == any(label == "NEGATION" for label, _, _ in one._.modifiers)
    assert (linked > 100) == FORMATS[name].links


def test_lines_link_nothing_and_so_assert_nothing():
    with serving(lambda *_: "Entity: fever, Label: PROBLEM") as (url, _):
        nlp = make(url, format="lines")
        doc = nlp(NOTE)
        assert doc.ents[0]._.negated is None
        assert not said.has_relations(doc)
        nlp.add_pipe("clinner_context")
        assert nlp(NOTE).ents[0]._.negated


def test_where_no_modifier_is_asked_for_the_answer_says_what_is_asserted():
    rows = [
        {"text": "fever", "label": "DISEASE", "assertion": "absent"},
        {"text": "knee pain", "label": "DISEASE"},
    ]
    with serving(lambda *_: content(rows)) as (url, _):
        doc = make(url, layers=["ncbi"])(NOTE)
    assert [(ent.text, ent._.assertion, ent._.negated) for ent in doc.ents] == [
        ("fever", "absent", True),
        ("knee pain", "present", False),
    ]


def test_a_view_renames_the_labels_asked_for():
    with serving(lambda *_: "Entity: knee, Label: BODY_PART") as (url, requests):
        doc = make(url, layers=["maccrobat"], view="simple", format="lines")(NOTE)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("knee", "BODY_PART")]
    assert "Biological_structure" not in requests.bodies[0]["messages"][0]["content"]


def test_a_blank_note_is_not_asked_about():
    with serving(lambda *_: content([])) as (url, requests):
        doc = make(url)(" \n ")
    assert requests.bodies == []
    assert list(doc.spans["clinical"]) == []


def test_no_more_requests_are_under_way_than_allowed_and_the_notes_keep_their_order():
    texts = [f"Note {number} of fever." for number in range(40)]
    with serving(lambda *_: content([{"text": "fever", "label": "PROBLEM"}]), delay=0.02) as (
        url,
        asked,
    ):
        docs = list(make(url, concurrency=5).pipe(texts))
    assert 2 <= asked.at_once <= 5
    assert [doc.text for doc in docs] == texts
    assert all(len(doc.ents) == 1 for doc in docs)


# What fails.

BAD = {
    "down": (None, "cannot be reached"),
    "slow": ("slow", "gave no answer within"),
    "wrong JSON": (lambda *_: (200, b"{fever"), "no chat completion"),
    "no format": (lambda *_: "I found fever.", "not in the format 'json'"),
    "empty": (lambda *_: "", "empty answer"),
    "cut connection": (lambda *_: None, "cut the connection"),
    "cut answer": (
        lambda *_: (200, completion('{"entities": [{"te', "length")),
        "cut at `max_tokens`",
    ),
    "429": (lambda *_: (429, b"fever"), "slow down"),
    "500": (lambda *_: (500, b"fever"), "failed (500)"),
    "401": (lambda *_: (401, b"fever"), "refuses the key"),
}


@pytest.mark.parametrize(("answer", "says"), BAD.values(), ids=BAD)
def test_a_note_that_fails_is_kept_and_says_why(answer, says, caplog, capfd):
    failing = "Fails, fever."

    def some(body, before):
        return answer(body, before) if text_asked(body) == failing else content(ROWS[:2])

    texts = [NOTE, failing, NOTE]
    with caplog.at_level(logging.WARNING):
        if answer is None:
            docs = list(make(silent(), constrained=False).pipe([failing]))
        elif answer == "slow":
            with serving(lambda *_: "late", delay=0.3) as (url, _):
                docs = list(make(url, constrained=False, timeout=0.1).pipe([failing]))
        else:
            with serving(some) as (url, _):
                docs = list(make(url, constrained=False).pipe(texts))
            assert [doc.text for doc in docs] == texts
            assert all(len(doc.ents) == 1 for doc in (docs[0], docs[2]))
    failed = next(doc for doc in docs if doc.text == failing)
    assert says in failed.user_data["clinner_llm"]["error"]
    # Not judged is not the same as nothing found.
    assert "clinical" not in failed.spans
    assert len([one for one in caplog.records if says in one.getMessage()]) == 1
    shown = caplog.text + "".join(capfd.readouterr()) + failed.user_data["clinner_llm"]["error"]
    assert "fever" not in shown


def test_of_an_answer_that_was_cut_the_beginning_is_used(caplog):
    cut = content(ROWS[:3])[:-20]
    with serving(lambda *_: (200, completion(cut, "length"))) as (url, _):
        doc = make(url)(NOTE)
    assert [ent.text for ent in doc.ents] == ["fever"]
    assert doc.user_data["clinner_llm"]["cut"] == 1
    assert "max_tokens" in caplog.text


def test_a_note_of_which_one_passage_fails_is_not_half_annotated():
    def answer(body, _):
        return (400, b"") if "pain" in text_asked(body) else content(ROWS[:2])

    with serving(answer) as (url, _):
        doc = make(url, length=4, constrained=False)(NOTE)
    report = doc.user_data["clinner_llm"]
    assert (report["passages"], report["failed"]) == (2, 1)
    assert "clinical" not in doc.spans


@pytest.mark.parametrize("status", [200, 500])
def test_what_is_left_before_its_end_waits_for_no_answer_and_asks_no_more(status):
    release, answered = threading.Event(), []

    def answer(_, before):
        if status == 200:
            release.wait(20)
            answered.append(before)
        return status, completion(content(ROWS))

    def source(requests):
        yield NOTE
        while not requests.bodies:
            time.sleep(0.01)
        raise KeyError("source")

    with serving(answer) as (url, requests):
        nlp = make(url, timeout=60.0, first_wait=20.0, constrained=False)
        with pytest.raises(KeyError, match="source"):
            list(nlp.pipe(source(requests)))
        assert answered == []
        release.set()
    assert len(requests.bodies) == 1


# What is asked, and what it costs.


def test_the_budget_stops_with_a_clear_error_after_the_notes_before_it():
    with serving(lambda *_: content(ROWS[:2])) as (url, requests):
        nlp = make(url, budget=200, concurrency=1)
        stream = nlp.pipe(f"{NOTE} {number}" for number in range(10))
        done = [next(stream), next(stream)]
        with pytest.raises(ClinnerError, match="tokens are spent of a `budget` of 200"):
            next(stream)
    assert len(done) == len(requests.bodies) == 2


def test_what_was_asked_before_is_not_asked_again(tmp_path):
    cache = tmp_path / "answers"
    with serving(lambda *_: content(ROWS)) as (url, requests):
        first = make(url, cache=str(cache))(NOTE)
        again = make(url, cache=str(cache))(NOTE)
        assert len(requests.bodies) == 1
        make(url, cache=str(cache), model="other")(NOTE)
        make(url, cache=str(cache), layers=["clinical"])(NOTE)
        make(url, cache=str(cache))(f"{NOTE} More.")
        assert len(requests.bodies) == 4
    assert again.user_data["clinner_llm"]["cached"] == 1
    assert again.to_json() == first.to_json()
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert all(set(json.loads(path.read_text())) == {"content", "cut"} for path in files)
    assert not any(re.search("fever|Denies", str(path)) for path in files)


def test_a_cache_that_cannot_be_written_to_is_said_to_be(tmp_path):
    (tmp_path / "file").touch()
    with (
        serving(lambda *_: content(ROWS)) as (url, _),
        pytest.raises(ClinnerError, match=r"`cache` .*file cannot be written to"),
    ):
        make(url, cache=str(tmp_path / "file"))(NOTE)


def test_a_failure_is_not_remembered_and_a_broken_file_is_asked_anew(tmp_path):
    answers = iter(["no JSON", content(ROWS), content(ROWS)])
    with serving(lambda *_: next(answers)) as (url, requests):
        nlp = make(url, cache=str(tmp_path))
        assert "error" in nlp(NOTE).user_data["clinner_llm"]
        nlp(NOTE)
        (file,) = tmp_path.rglob("*.json")
        file.write_text("{")
        nlp(NOTE)
    assert len(requests.bodies) == 3


@pytest.mark.parametrize("choose", ["seed", "nearest"])
def test_examples_of_a_corpus_are_shown(golds, tmp_path, choose):
    from spacy.tokens import DocBin

    path = tmp_path / "train.spacy"
    DocBin(docs=golds, store_user_data=True).to_disk(path)
    passage = golds[3].text
    with serving(lambda *_: content([])) as (url, requests):
        nlp = make(url, examples=str(path), shots=2, choose=choose, length=2000)
        nlp(f"{passage} And more.")
        nlp(passage)
    similar, same = (body["messages"] for body in requests.bodies)
    assert [one["role"] for one in similar] == ["system", *["user", "assistant"] * 2, "user"]
    assert json.loads(similar[2]["content"])["entities"]
    if choose == "nearest":
        assert passage.strip() in similar[3]["content"]
    assert not any(passage.strip() in one["content"] for one in same[:-1])


def test_examples_that_lack_a_layer_are_refused(golds, tmp_path):
    from spacy.tokens import DocBin

    path = tmp_path / "train.spacy"
    DocBin(docs=golds, store_user_data=True).to_disk(path)
    nlp = make("http://localhost:1/v1", examples=str(path), shots=1, layers=["ncbi"])
    with pytest.raises(ClinnerError, match="no note there annotates ncbi"):
        nlp(NOTE)


# The component as part of a pipeline.


def test_an_address_is_needed_when_the_first_note_comes(monkeypatch):
    monkeypatch.delenv("CLINNER_LLM_URL", raising=False)
    with pytest.raises(ClinnerError, match="give the address of the server"):
        make()(NOTE)


def test_address_model_and_key_may_come_from_the_environment(monkeypatch):
    with serving(lambda *_: content(ROWS)) as (url, requests):
        monkeypatch.setenv("CLINNER_LLM_URL", url)
        monkeypatch.setenv("CLINNER_LLM_MODEL", "named-there")
        monkeypatch.setenv("HOUSE_KEY", "secret")
        make(model="", key_env="HOUSE_KEY")(NOTE)
    assert requests.bodies[0]["model"] == "named-there"
    assert requests.headers[0]["Authorization"] == "Bearer secret"


def test_a_saved_pipeline_has_the_settings_and_never_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINNER_LLM_KEY", "secret")
    with serving(lambda *_: content(ROWS)) as (url, requests):
        nlp = make(url, concurrency=3, request={"seed": 7})
        nlp(NOTE)
        nlp.to_disk(tmp_path)
        again = spacy.load(tmp_path)
        assert again.get_pipe("clinner_llm").settings == nlp.get_pipe("clinner_llm").settings
        assert len(again(NOTE).ents) == 2
        assert (
            len(pickle.loads(pickle.dumps(nlp.get_pipe("clinner_llm")))(nlp.make_doc(NOTE)).ents)
            == 2
        )
    assert requests.bodies[0]["seed"] == 7
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"secret" in path.read_bytes() for path in files)
    assert not any(path.suffix in (".pkl", ".pickle", ".pt") for path in files)


def test_what_it_says_survives_the_ways_of_a_document(tmp_path):
    from spacy.tokens import Doc, DocBin

    with serving(lambda *_: content(ROWS)) as (url, _):
        doc = make(url)(NOTE)
    (stored,) = (
        DocBin().from_bytes(DocBin(docs=[doc], store_user_data=True).to_bytes()).get_docs(doc.vocab)
    )
    with pytest.warns(UserWarning, match="W102"):
        # Which of several reports is meant, spaCy cannot know.
        both = Doc.from_docs([doc, doc])
    for ent in (stored.ents[0], both.ents[2]):
        assert (ent.text, ent._.negated, ent._.match) == ("fever", True, "exact")
    assert stored.user_data["clinner_llm"]["passages"] == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"format": "xml"}, "unknown format 'xml'"),
        ({"layers": []}, "`layers` must name"),
        ({"layers": ["nothing"]}, "no such scheme"),
        ({"view": "nothing"}, "none of its `layers` has a view 'nothing'"),
        ({"concurrency": 0}, "`concurrency` must be 1 or more"),
        ({"budget": -1}, "`budget` must be 0 or more"),
        ({"shots": 2}, "`shots` needs `examples`"),
        ({"choose": "best"}, "`choose` must be one of seed, nearest"),
    ],
)
def test_a_wrong_setting_is_refused(settings, says):
    with pytest.raises(ClinnerError, match=re.escape(says)):
        make(**settings)


def test_a_passage_alone_is_what_is_sent():
    with serving(lambda *_: content([])) as (url, requests):
        make(url, length=4)(NOTE)
    asked = [text_asked(body) for body in requests.bodies]
    assert sorted(asked) == ["Denies fever.", "Severe knee pain."]
    assert Passage("x") == Passage("x", ())
