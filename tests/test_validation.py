import pytest

from spacy_clinner.corpora.catalog import Entry
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.context.lexicon import Entry as CueEntry
from spacy_clinner.schemes.scheme import SchemeFile
from spacy_clinner.validation import checked

MINE = {"format": "brat", "layers": ["clinical"], "train": ["x"]}
LABEL = {"layer": "mine", "labels": {"A": {}}}


@pytest.mark.parametrize(
    ("model", "data", "told"),
    [
        (Entry, {}, "needs format, layers, train"),
        (Entry, {**MINE, "train": [], "format": ""}, "needs format, train"),
        (Entry, "x", "not a table; write its keys under a line [name]"),
        (Entry, {**MINE, "train": [5]}, "train must be a list of strings"),
        (Entry, {**MINE, "view": 5}, "view must be a string"),
        (Entry, {**MINE, "ids": {"dev": 5}}, 'ids must give each split a file, { train = "..." }'),
        (
            Entry,
            {**MINE, "holdout": {"dev": True}},
            "holdout must give each split a number of notes, { dev = 10 }",
        ),
        (
            Entry,
            {**MINE, "holdout": {"dve": 5}},
            "holdout has the unknown split 'dve'. Known: dev, test",
        ),
        (SchemeFile, {**LABEL, "pairs": {"A": "B"}}, "pairs of A must be a list of strings"),
        (SchemeFile, {**LABEL, "views": {"v": {"A": 1}}}, "A of v must be a string"),
        (SchemeFile, {**LABEL, "views": {"v": 1}}, "views of v must be a table, [views.v]"),
        (SchemeFile, {**LABEL, "entities": "no"}, "entities must be true or false"),
        (
            SchemeFile,
            {"layer": "mine", "labels": {"A": {"colour": "#fff"}}},
            "unknown key 'labels.A.colour'",
        ),
        (CueEntry, {"window": -1}, "window must be a whole number, 0 or more"),
        (CueEntry, {"window": "3"}, "window must be a whole number, 0 or more"),
        (CueEntry, {"patterns": 3}, "patterns must be a list of strings"),
    ],
)
def test_a_wrong_table_is_told_by_file_key_and_what_it_must_be(model, data, told):
    with pytest.raises(ClinnerError) as caught:
        checked(model, data, "mine.toml: [x]")
    assert str(caught.value) == f"mine.toml: [x]: {told}."


def test_one_name_or_pattern_needs_no_list_around_it():
    cue = checked(CueEntry, {"category": "negated", "patterns": ("no", "not")}, "x")
    assert (cue.category, cue.patterns) == (["negated"], ["no", "not"])


def test_a_value_that_is_not_among_those_known_is_named():
    with pytest.raises(ClinnerError, match="direction: 'left' is not one of 'forward', 'backward'"):
        checked(CueEntry, {"direction": "left"}, "x")
