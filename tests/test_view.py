import re
from html import unescape

import pytest
import spacy
from spacy import displacy
from spacy.displacy.render import DEFAULT_LABEL_COLORS
from spacy.tokens import Span

from spacy_clinner import view
from spacy_clinner.annotation import store
from spacy_clinner.errors import ClinnerError

TEXT = "Denies <severe> chest pain. Possible pneumonia. Aspirin daily."


def doc(nlp):
    made = nlp(TEXT)
    pain = made.char_span(7, 26, label="PROBLEM")
    pneumonia = made.char_span(37, 46, label="PROBLEM")
    aspirin = made.char_span(48, 55, label="DRUG")
    made.set_ents([pain, pneumonia, aspirin])
    store.set_values(pain, negated=True, assertion="absent", confidence=0.93)
    pain._.negation_cue = made[0:1]
    store.set_values(pneumonia, uncertain=True, assertion="possible")
    aspirin._.modifiers = [("FREQUENCY", made.char_span(56, 61, label="FREQUENCY"), 0.9)]
    return made


def test_states_modifiers_and_evidence_are_shown_and_text_is_escaped(nlp):
    html = view.render(doc(nlp), jupyter=False)
    assert html.count("<mark") == 3
    assert 'class="absent"' in html
    assert "absent, confidence 0.93, cue “Denies”" in html
    assert 'class="possible"' in html
    assert "frequency: daily" in html
    assert "&lt;severe&gt;" in html


def test_what_is_absent_in_someone_else_is_said_to_be_both(nlp):
    made = nlp("No family history of asthma.")
    asthma = made.char_span(21, 27, label="PROBLEM")
    made.set_ents([asthma])
    of = {"assertion": "associated_with_someone_else", "experiencer": "family"}
    store.set_values(asthma, negated=True, uncertain=True, **of)
    html = view.render(made, jupyter=False)
    assert "associated with someone else, absent, possible, of family" in html


def test_sections_become_headings_and_keep_their_entities(nlp):
    made = doc(nlp)
    middle = made.char_span(28, 36).start
    made._.sections = [(None, None, made[:middle]), ("past_medical_history", None, made[middle:])]
    html = view.render(made, jupyter=False)
    assert "<h3>Past medical history</h3>" in html
    assert html.count("<mark") == 3


def test_a_page_is_whole_html_and_works_for_an_empty_note_too(nlp):
    html = view.render(nlp(""), page=True)
    assert html.startswith("<!DOCTYPE html>")


def test_a_layer_is_shown_in_place_of_the_entities(nlp):
    made = doc(nlp)
    made.spans["ncbi"] = [Span(made, 7, 8, label="DISEASE")]
    assert view.render(made, layer="ncbi", jupyter=False).count("<mark") == 1


def test_no_finding_and_no_text_is_hidden_by_overlaps_or_sections(nlp):
    made = doc(nlp)
    made.spans["all"] = [
        Span(made, 0, 5, label="OUTER"),
        Span(made, 1, 3, label="INNER"),
        Span(made, 2, 7, label="CROSSING"),
        Span(made, 2, 7, label="SAME"),
        Span(made, 6, 10, label="LAST"),
    ]
    for sections in (
        [],
        [(None, None, made[:2]), ("plan", None, made[2:4]), ("x", None, made[8:])],
    ):
        made._.sections = sections
        html = view.render(made, layer="all", jupyter=False)
        shown = [html.count(f"<b>{span.label_}</b>") for span in made.spans["all"]]
        assert shown == [1] * 5
        text = re.sub(r"<h3>.*?</h3>|<b>.*?</b>|<style>.*?</style>|<[^>]*>", "", html, flags=re.S)
        assert unescape(text).replace(" ", "") == made.text.replace(" ", "")


def test_an_unknown_layer_is_an_error_that_names_those_there_are(nlp):
    made = doc(nlp)
    made.spans["ncbi"] = []
    with pytest.raises(ClinnerError, match=r"no layer 'nbci'. Its layers: ncbi"):
        view.render(made, layer="nbci", jupyter=False)


def test_labels_are_escaped_and_a_page_can_run_nothing(nlp):
    made = nlp("no fever")
    made.spans["x"] = [Span(made, 1, 2, label="<script>alert(1)</script>")]
    html = view.render(made, layer="x", page=True)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "Content-Security-Policy" in html


@pytest.mark.parametrize("color", ['red" onmouseover="alert(1)', "red", "#12345", "#12345g", 7])
def test_a_colour_is_six_digits_or_that_of_the_group(nlp, color):
    made = doc(nlp)
    store.write(made, [(ent, {"color": color}) for ent in made.ents])
    html = view.render(made, jupyter=False)
    assert html.count(f'style="--mark:{view.COLORS["Disorders"]}"') == 2
    assert "onmouseover" not in html


def test_a_colour_of_a_scheme_is_shown(nlp):
    made = doc(nlp)
    store.write(made, [(ent, {"color": "#0aF9b3"}) for ent in made.ents])
    assert view.render(made, jupyter=False).count('style="--mark:#0aF9b3"') == 3


def test_columns_lines_and_blanks_stand_as_in_the_note(nlp):
    text = "Na   K    Cl\n140  4.1  101\n\n  \u0644\u0627 fever\n"
    made = nlp(text)
    made.set_ents([made.char_span(text.index("fever"), text.index("\n", -1), label="PROBLEM")])
    html = view.render(made, page=True)
    shown = re.search(r'<div class="entities">(.*?)</div>', html, re.S)[1]
    assert unescape(re.sub(r" <b>.*?</b>|<[^>]*>", "", shown)) == text
    (rule,) = re.findall(r"\.clinner \.entities {([^}]*)}", html)
    assert "white-space: pre-wrap" in rule
    assert "unicode-bidi: plaintext" in rule


def test_the_view_command_writes_a_page(tmp_path, nlp):
    from typer.testing import CliRunner

    from spacy_clinner.cli import app

    blank = spacy.blank("en")
    blank.add_pipe("entity_ruler").add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    blank.to_disk(tmp_path / "model")
    (tmp_path / "note.txt").write_text("Has a fever today.", encoding="utf8")
    arguments = ["view", str(tmp_path / "model"), str(tmp_path / "note.txt")]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "note.html")])
    assert done.exit_code == 0, done.output
    assert "fever" in (tmp_path / "note.html").read_text(encoding="utf8")
    assert (tmp_path / "note.html").stat().st_mode & 0o777 == 0o600
    assert "0600" in done.output
    (tmp_path / "link.txt").symlink_to(tmp_path / "note.txt")
    for same in ("note.txt", "link.txt"):
        done = CliRunner().invoke(app, [*arguments, str(tmp_path / same)])
        assert done.exit_code == 1
        assert "is the note itself" in " ".join(done.output.split())
    assert (tmp_path / "note.txt").read_text(encoding="utf8") == "Has a fever today."


def test_displacy_shows_our_labels_in_the_colours_of_the_view(nlp):
    made = doc(nlp)
    html = displacy.render(made, style="ent", jupyter=False)
    assert html.count(view.COLORS["Disorders"]) == 2
    assert html.count(view.COLORS["Chemicals & Drugs"]) == 1
    for label, shown in view.displacy_colors().items():
        span = Span(made, 0, 1, label=label)
        made.set_ents([span])
        assert shown in view.render(made, jupyter=False)


def test_displacy_keeps_the_colours_of_labels_that_spacy_knows():
    ours = {label.upper() for label in view.displacy_colors()}
    assert "PROBLEM" in ours
    assert not ours & DEFAULT_LABEL_COLORS.keys()
