import srsly
from spacy.tokens import Span
from spacy.training import Example

from clinner.evaluation import errors

TEXT = "chest pain and fever <b> treated with aspirin today"


def doc(nlp, *places):
    made = nlp.make_doc(TEXT)
    made.spans["clinical"] = [made.char_span(s, e, label=label) for s, e, label in places]
    assert all(isinstance(span, Span) for span in made.spans["clinical"])
    return made


def example(nlp):
    gold = doc(nlp, (0, 10, "PROBLEM"), (15, 20, "PROBLEM"), (38, 45, "DRUG"))
    guess = doc(nlp, (6, 10, "PROBLEM"), (38, 45, "TREATMENT"), (46, 51, "TEST"))
    gold.user_data["note_id"] = "note-7"
    return Example(guess, gold)


def test_each_kind_of_error_is_told_apart(nlp):
    kinds = [(o.kind, o.caption) for o in errors.compare(example(nlp), "clinical")]
    assert kinds == [
        ("wrong boundaries", "PROBLEM"),
        ("miss", "PROBLEM → –"),
        ("wrong label", "DRUG → TREATMENT"),
        ("false alarm", "– → TEST"),
    ]


def test_the_error_list_has_a_line_a_note_with_offsets(nlp, tmp_path):
    errors.write_errors([example(nlp)], ["clinical"], tmp_path)
    (line,) = srsly.read_jsonl(tmp_path / "errors.jsonl")
    assert line["note"] == "note-7"
    assert line["errors"][1]["gold"] == ["PROBLEM 15-20"]


def test_the_page_shows_every_note_with_its_text_escaped(nlp, tmp_path):
    errors.write_errors([example(nlp)], ["clinical"], tmp_path)
    html = (tmp_path / "errors.html").read_text(encoding="utf8")
    assert "note-7" in html
    assert "DRUG → TREATMENT · wrong label" in html
    assert "<b>" not in html
    assert "4 errors in 4 places" in html
