"""From what is said to places in the text."""

import random
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from noise import with_noise

from spacy_clinner.llm.letters import Letters, distance
from spacy_clinner.llm.mentions import Answer, Mention, Passage, Said
from spacy_clinner.llm.placement import place
from spacy_clinner.llm.prompts import FORMATS

NOTE = "Denies chest pain. Has back pain since May.\nAmodiaquine 200 mg daily; CRP + (12.5%)."


def placed(*words, text=NOTE, after=""):
    answer = Answer(tuple(Said("X", one, after=after) for one in words))
    found = place(text, answer)
    spans = [text[one.start : one.end] for one in found.mentions]
    return spans, list(found.kinds), dict(found.counts)


def test_words_that_stand_there_are_found_exactly():
    assert placed("back pain") == (["back pain"], ["exact"], {"exact": 1})


@pytest.mark.parametrize(
    "words", ["BACK PAIN", "back\n  pain", "Back-pain", "backpain", "back pain,"]
)
def test_other_case_spaces_and_punctuation_are_no_other_words(words):
    assert placed(words) == (["back pain"], ["normalised"], {"normalised": 1})


@pytest.mark.parametrize("words", ["amodiaquin", "Amodiaquinee", "amodaquine", "amodixquine"])
def test_a_few_other_letters_are_found_as_whole_words(words):
    assert placed(words) == (["Amodiaquine"], ["fuzzy"], {"fuzzy": 1})


@pytest.mark.parametrize(
    "words", ["pneumonia", "knee", "chest X-ray", "", "?", "pian", "mayo clinic"]
)
def test_invented_words_are_dropped_and_counted(words):
    assert placed(words) == ([], [], {"not found": 1})


def test_the_order_tells_which_of_the_same_words_is_meant():
    spans = place(NOTE, Answer(tuple(Said("X", w) for w in ("chest", "pain", "back", "pain"))))
    assert [one.start for one in spans.mentions] == [7, 13, 23, 28]


def test_the_words_before_tell_which_of_the_same_words_is_meant():
    (one,) = place(NOTE, Answer((Said("X", "pain", after="has back"),))).mentions
    assert one.start == 28


def test_words_in_another_order_are_found_all_the_same():
    spans, _, counts = placed("Amodiaquine", "chest pain", "back pain")
    assert spans == ["chest pain", "back pain", "Amodiaquine"]
    assert counts == {"exact": 3}


def test_what_is_named_more_often_than_it_stands_there_is_dropped_and_counted():
    spans, _, counts = placed("pain", "pain", "pain")
    assert spans == ["pain", "pain"]
    assert counts == {"exact": 2, "repeated": 1}


def test_words_come_before_parts_of_words():
    text = "Painful, in pain"
    assert [one.start for one in place(text, Answer((Said("X", "pain"),))).mentions] == [12]


@pytest.mark.parametrize(
    ("words", "found"), [("CRP +", "CRP +"), ("+", "+"), ("(12.5%)", "(12.5%)"), ("12.5%", "12.5%")]
)
def test_signs_belong_to_a_mention_as_the_answer_has_them(words, found):
    assert placed(words)[0] == [found]


def copied(marked, text=NOTE):
    """What becomes of a marked copy."""
    found = place(text, FORMATS["kiwi"].parse(marked))
    return [text[one.start : one.end] for one in found.mentions], dict(found.counts)


def mark(words):
    return f'<span class="x">{words}</span>'


def test_a_copy_tells_by_what_stands_around_which_words_are_meant():
    marked = NOTE.replace("back pain", f"back {mark('pain')}")
    assert copied(marked) == (["pain"], {"exact": 1})
    (one,) = place(NOTE, FORMATS["kiwi"].parse(marked)).mentions
    assert one.start == 28


def test_a_copy_that_leaves_out_a_sentence_moves_nothing():
    found = place(NOTE, FORMATS["kiwi"].parse(f"Has back {mark('pain')} since May."))
    assert [one.start for one in found.mentions] == [28]


def test_a_copy_in_another_order_moves_nothing():
    first, second = NOTE.split("\n")
    marked = f"{second}\n{first.replace('chest pain', mark('chest pain'))}"
    assert copied(marked)[0] == ["chest pain"]


def test_a_copy_with_invented_text_moves_nothing():
    marked = f"Here is it: pain. {NOTE.replace('back pain', mark('back pain'))} No {mark('rash')}."
    assert copied(marked) == (["back pain"], {"exact": 1, "not found": 1})


FEVERS = "Fever in May. He is well. No fever today."


@pytest.mark.parametrize(
    ("marked", "starts", "counts"),
    [
        (f"{mark('Fever')} in May. {mark('Fever')} in May. He is well. No fever today.",
         [0], {"exact": 1, "repeated": 1}),
        (f"Fever in May. Fever in May. He is well. No {mark('fever')} today.", [29], {"exact": 1}),
        (f"{mark('Fever')} in May. {mark('Fever')} in May. He is well.",
         [0], {"exact": 1, "repeated": 1}),
        (f"{mark('Fever')} in May. Fever in May. He is well. No fever today.",
         [0], {"exact": 1}),
        (f"He is well. {mark('Fever')} in May. {mark('Fever')} in May. No fever today.",
         [0], {"exact": 1, "repeated": 1}),
        (f"No {mark('fever')} today. He is well. {mark('Fever')} in May.", [0, 29], {"exact": 2}),
        (f"He is well. {mark('Fever')} in May. No {mark('fever')} today.", [0, 29], {"exact": 2}),
        (f"No {mark('fever')} today. Fever in May. He is well.", [29], {"exact": 1}),
        (f"{FEVERS} Some {mark('fever')} yesterday.", [], {"not found": 1}),
    ],
    ids=["repeated", "repeated unmarked", "repeated for another", "marked in what is repeated",
         "repeated amid", "backwards", "moved", "the last moved", "invented"],
)  # fmt: skip
def test_a_sentence_that_a_copy_repeats_moves_or_invents_moves_no_span(marked, starts, counts):
    found = place(FEVERS, FORMATS["kiwi"].parse(marked))
    assert [one.start for one in found.mentions] == starts
    assert dict(found.counts) == counts


def test_a_repeated_sentence_is_not_taken_for_one_that_ends_alike():
    text = "Fever in May. No fever in May."
    marked = f"{mark('Fever')} in May. {mark('Fever')} in May. No fever in May."
    found = place(text, FORMATS["kiwi"].parse(marked))
    assert [one.start for one in found.mentions] == [0]
    assert found.counts == {"exact": 1, "repeated": 1}


def test_a_corrected_copy_is_found_by_its_letters():
    assert copied(NOTE.replace("Amodiaquine", mark("Amodiaquin"))) == (
        ["Amodiaquine"],
        {"fuzzy": 1},
    )


def test_links_follow_what_is_found():
    answer = Answer(
        (Said("PROBLEM", "rash"), Said("PROBLEM", "pain"), Said("NEGATION", "Denies", heads=(0, 1)))
    )
    found = place(NOTE, answer)
    assert [one.label for one in found.mentions] == ["NEGATION", "PROBLEM"]
    assert found.mentions[0].heads == (1,)


WORDS = st.sampled_from(
    ["pain", "Pain", "no", "knee", "10", "mg", "x2", "+", "-", "(", ")", ".", ",", ":", "\n", " ",
     "ß", "é", "İ", "²", "<span>", "Label:", "Entity:", "%", "a", "aa", '"', "\\", "{", "}"]
)  # fmt: skip


@st.composite
def passages(draw):
    """Any text with any annotation."""
    text = draw(st.lists(st.one_of(WORDS, st.just(" ")), min_size=1, max_size=40).map("".join))
    mentions = {}
    for _ in range(draw(st.integers(0, 8))):
        start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        words = text[start:end]
        # Half a word is no span of tokens, and a span begins and ends with no white space.
        if words and words == words.strip() and _at_edges(text, start, end):
            one = Mention(draw(st.sampled_from(["A", "B"])), start, end)
            mentions[one.place] = one
    return Passage(text, tuple(mentions[key] for key in sorted(mentions)))


def _at_edges(text, start, end):
    return not any(
        0 < at < len(text) and (text[at - 1] + text[at]).isalnum() for at in (start, end)
    )


def read(name, passage):
    answer = FORMATS[name].parse(FORMATS[name].render(passage))
    return replace(answer, said=tuple(replace(s, label=s.label.upper()) for s in answer.said))


@pytest.mark.parametrize("name", FORMATS)
@given(passage=passages())
@example(passage=Passage("+   \n+", (Mention("A", 5, 6),)))
def test_any_annotation_comes_back_from_its_right_answer(name, passage):
    found = place(passage.text, read(name, passage))
    assert [one.place for one in found.mentions] == [one.place for one in passage.mentions]


@pytest.mark.parametrize("name", FORMATS)
@given(passage=passages(), seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_no_noise_moves_a_span_to_other_letters(name, passage, seed, share):
    answer = with_noise(read(name, passage), random.Random(seed), share)
    found = place(passage.text, answer)
    named = {Letters(said.words).folded for said in answer.said}
    for one, kind in zip(found.mentions, found.kinds, strict=True):
        letters = Letters(passage.text[one.start : one.end]).folded
        assert kind in ("exact", "normalised")
        assert letters in named
    gold = [Letters(passage.text[m.start : m.end]).folded for m in passage.mentions]
    lost = len(answer.said) - len(found.mentions)
    assert lost <= sum(not letters for letters in gold)


@given(said=st.lists(WORDS, max_size=6), text=st.lists(WORDS, max_size=30).map("".join))
def test_nothing_is_ever_placed_where_other_words_stand(said, text):
    answer = Answer(tuple(Said("X", words) for words in said))
    found = place(text, answer)
    assert sum(found.counts.values()) == len(said)
    for one, kind in zip(found.mentions, found.kinds, strict=True):
        words = Letters(text[one.start : one.end]).folded
        known = [Letters(w).folded for w in said]
        limit = max(len(w) // 5 for w in known)
        assert any(distance(words, w, limit) <= (limit if kind == "fuzzy" else 0) for w in known)


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.integers(0, 8))
def test_a_distance_is_exact_up_to_its_limit(one, other, limit):
    full = distance(one, other, 100)
    assert distance(one, other, limit) == min(full, limit + 1)
    assert full == distance(other, one, 100)
    assert (full == 0) == (one == other)
