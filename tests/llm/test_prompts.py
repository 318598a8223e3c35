import json

import pytest

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.mentions import Mention, Passage
from spacy_clinner.llm.placement import place
from spacy_clinner.llm.prompts import FORMATS, find_format

TEXT = "No fever. Severe knee pain, then pain in the hip."
PASSAGE = Passage(
    TEXT,
    (
        Mention("NEGATION", 0, 2, (1,)),
        Mention("PROBLEM", 3, 8),
        Mention("PROBLEM", 10, 26),
        Mention("SEVERITY", 10, 16, (2,)),
        Mention("BODYLOC", 17, 21, (2,)),
        Mention("BODYLOC", 45, 48),
    ),
)
LAYERS = [schemes.load("clinical"), schemes.load("modifiers")]


def again(name, passage):
    """What is read in the right answer."""
    answer = find_format(name).parse(find_format(name).render(passage))
    return answer, place(passage.text, answer)


def test_kiwi_marks_entities_and_modifiers_in_a_copy_of_the_text():
    assert find_format("kiwi").render(PASSAGE) == (
        '<span class="negation" of="1">No</span> <span class="problem" id="1">fever</span>. '
        '<span class="problem" id="2"><span class="severity" of="2">Severe</span> '
        '<span class="bodyloc" of="2">knee</span> pain</span>, then pain in the '
        '<span class="bodyloc">hip</span>.'
    )


def test_lines_name_an_entity_and_its_label_each():
    lines = find_format("lines").render(PASSAGE).splitlines()
    assert lines[:2] == ["Entity: No, Label: NEGATION", "Entity: fever, Label: PROBLEM"]


def test_json_numbers_the_entities_that_a_modifier_modifies():
    rows = json.loads(find_format("json").render(PASSAGE))["entities"]
    assert rows[0] == {"text": "No", "label": "NEGATION", "of": [2]}
    assert rows[4] == {"text": "knee", "label": "BODYLOC", "of": [3]}


@pytest.mark.parametrize("name", FORMATS)
def test_the_right_answer_gives_back_every_span(name):
    answer, placed = again(name, PASSAGE)
    assert {one.place[:2] for one in placed.mentions} == {m.place[:2] for m in PASSAGE.mentions}
    assert set(placed.kinds) == {"exact"}
    assert answer.unreadable == 0


@pytest.mark.parametrize("name", ["kiwi", "json"])
def test_the_right_answer_gives_back_every_link(name):
    _, placed = again(name, PASSAGE)
    assert [one.heads for one in placed.mentions] == [one.heads for one in PASSAGE.mentions]


@pytest.mark.parametrize("name", FORMATS)
def test_mentions_that_cross_and_touch_are_given_back(name):
    edges = [(0, 5, "A"), (0, 5, "B"), (3, 8, "C"), (3, 11, "A"), (3, 5, "A"), (6, 11, "B")]
    mentions = sorted((Mention(label, a, b) for a, b, label in edges), key=lambda m: m.place)
    _, placed = again(name, Passage("ab cd ef gh ij", tuple(mentions)))
    assert {(m.start, m.end, m.label.upper()) for m in placed.mentions} == set(edges)


@pytest.mark.parametrize("name", ["lines", "json"])
def test_words_that_stand_twice_are_told_apart_by_the_words_before(name):
    text = "Pain in the hip. No pain in the knee. Pain."
    _, placed = again(name, Passage(text, (Mention("PROBLEM", 20, 24), Mention("X", 38, 42))))
    assert [(one.start, one.end) for one in placed.mentions] == [(20, 24), (38, 42)]
    assert "no" in find_format(name).render(Passage(text, (Mention("PROBLEM", 20, 24),))).lower()


def test_words_that_stand_once_need_no_words_before():
    assert "After" not in find_format("lines").render(PASSAGE)
    assert '"after"' not in find_format("json").render(PASSAGE)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found_is_said_and_read_as_such(name):
    answer = find_format(name).parse(find_format(name).render(Passage("Well today.")))
    assert (answer.said, answer.unreadable, answer.fits) == ((), 0, True)


def test_a_text_that_holds_marks_itself_keeps_them():
    text = 'The <span class="x"> of time, </span> and a < b.'
    answer, placed = again("kiwi", Passage(text, (Mention("A", 25, 29),)))
    assert answer.copy == text
    assert [(one.start, one.end) for one in placed.mentions] == [(25, 29)]


@pytest.mark.parametrize(
    "line",
    [
        "Entity: fever, Label: PROBLEM",
        "- Entity: fever, Label: PROBLEM",
        "1. **Entity:** fever, **Label:** PROBLEM",
        "entity : fever , label : PROBLEM.",
        "* **Entity**: fever, **Label**: PROBLEM",
    ],
)
def test_lines_are_read_however_they_are_decorated(line):
    answer = find_format("lines").parse(f"Here they are:\n{line}\n")
    assert [(one.words, one.label) for one in answer.said] == [("fever", "PROBLEM")]
    assert answer.unreadable == 1
    assert answer.fits


@pytest.mark.parametrize("filler", [" ", "\u3000", ",", ", Label: a, After: b", "Entity: x,"])
def test_a_long_line_is_read_in_time_that_grows_no_faster_than_its_square(filler):
    # With its cube it is two minutes.
    answer = find_format("lines").parse(f"Entity: {filler * (5_000 // len(filler))}x")
    assert answer.unreadable <= 1


ROW = '{"text": "fever", "label": "PROBLEM"}'


@pytest.mark.parametrize(
    "content",
    [
        f'{{"entities": [{ROW}]}}',
        f"[{ROW}]",
        f'Sure!\n```json\n{{"entities": [{ROW}]}}\n```\nThat is all.',
        f'{{"entities": [{ROW}, {{"text": "cou',
        f"{ROW}\n",
        f'{{"entities": [{ROW}, {{"text": 3}}, null]}}',
    ],
    ids=["asked for", "bare list", "fenced", "cut", "bare object", "with rubbish"],
)
def test_json_is_read_whatever_stands_around_it(content):
    answer = find_format("json").parse(content)
    assert [(one.words, one.label) for one in answer.said] == [("fever", "PROBLEM")]
    assert answer.fits


@pytest.mark.parametrize("name", ["lines", "json"])
@pytest.mark.parametrize("content", ["I cannot help with that.", "[1, 2]", "{", "[[[[", "null"])
def test_an_answer_in_no_format_does_not_fit(name, content):
    assert not find_format(name).parse(content).fits


def test_marks_that_are_not_closed_or_never_opened_are_counted():
    answer = find_format("kiwi").parse('</span>No <span class="problem">fever and')
    assert (answer.said, answer.unreadable) == ((), 2)
    assert answer.copy == "No fever and"


def test_marks_of_one_number_are_one_mention_only_where_they_touch():
    answer = find_format("kiwi").parse(
        '<span class="severity" of="1">Severe</span> <span class="problem" id="1">pain</span>. '
        '<span class="severity" of="1">Mild</span> <span class="problem" id="1">cough</span>.'
    )
    assert [one.words for one in answer.said] == ["Severe", "pain", "Mild", "cough"]
    # Of two with the number, the nearest is meant.
    assert [one.heads for one in answer.said] == [(1,), (), (3,), ()]


@pytest.mark.parametrize("name", FORMATS)
def test_every_label_is_explained_to_the_model(name):
    task = FORMATS[name].messages(LAYERS, TEXT)[0]["content"]
    for scheme in LAYERS:
        for label in scheme.labels.values():
            assert label.name.lower() in task.lower()
            assert label.description in task


@pytest.mark.parametrize("name", FORMATS)
def test_examples_stand_before_the_question(name):
    messages = FORMATS[name].messages(LAYERS, "Well today.", [PASSAGE])
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user"]
    assert TEXT in messages[1]["content"]
    assert "Well today." in messages[3]["content"]


def test_the_schema_allows_the_labels_asked_for_and_no_others():
    schema = find_format("json").schema(LAYERS)
    mention = schema["properties"]["entities"]["items"]
    assert set(mention["properties"]["label"]["enum"]) == {
        name for scheme in LAYERS for name in scheme.labels
    }
    assert "of" in mention["properties"]
    assert "assertion" not in mention["properties"]


def test_what_is_asserted_is_asked_for_where_no_modifier_says_it():
    layers = [schemes.load("ncbi")]
    assert "assertion" in find_format("json").instructions(layers)
    item = find_format("json").schema(layers)["properties"]["entities"]["items"]
    assert "absent" in item["properties"]["assertion"]["enum"]
    assert "of" not in item["properties"]


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(ClinnerError, match=r"'xml'.*kiwi, lines, json"):
        find_format("xml")


FEVER = f'{{"entities": [{ROW}]}}'


@pytest.mark.parametrize(
    "content",
    [
        f'The format is {{"entities": []}}, so: {FEVER}',
        f'{FEVER} If there were none, I would say {{}} or [] or {{"entities": []}}.',
        f'First {{"entities": [{{"text": "cough", "label": "PROBLEM"}}]}}, but no: {FEVER}',
        f'{{"entities": [{ROW}, {{"label": "NEGATION", "of": [], "te',
    ],
    ids=["an empty one before", "an empty one behind", "a draft", "an empty list in what was cut"],
)
def test_of_several_values_in_json_the_last_that_names_something_counts(content):
    answer = find_format("json").parse(content)
    assert [(one.words, one.label) for one in answer.said] == [("fever", "PROBLEM")]


@pytest.mark.parametrize(
    "unread",
    ['{"text": "x"}', '{"text": "x" "label": "PROBLEM"}', '{"label": "PROBLEM", "text": 3}'],
    ids=["no label", "no JSON", "no words"],
)
@pytest.mark.parametrize("end", ["]}", ', {"te'], ids=["whole", "cut"])
def test_json_numbers_count_what_cannot_be_read_too(unread, end):
    cough = ROW.replace("fever", "cough")
    no = '{"text": "No", "label": "NEGATION", "of": [2]}'
    answer = find_format("json").parse(f'{{"entities": [{unread}, {ROW}, {cough}, {no}{end}')
    assert [one.words for one in answer.said] == ["fever", "cough", "No"]
    assert answer.said[2].heads == (0,)
    assert answer.unreadable == 1 + (end != "]}")


def test_in_json_true_is_no_number():
    answer = find_format("json").parse(
        f'[{ROW}, {{"text": "No", "label": "NEGATION", "of": true}}]'
    )
    assert answer.said[1].heads == ()
