import zipfile

import pytest

from spacy_clinner.corpora.checks import FEATURE_LEFT_OUT
from spacy_clinner.corpora.inception import (
    cassis_types,
    inception_by_annotator,
    read_inception,
    write_cas,
)
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.suggestions import Suggestion
from spacy_clinner.errors import ClinnerError

cassis = pytest.importorskip("cassis")

TEXT = "No fever 🦵 today."
SPAN = "webanno.custom.Befund"


@pytest.fixture(scope="module")
def cas():
    """A document of a project with a layer of its own, as INCEpTION has it."""
    types = cassis_types()
    layer = types.create_type(SPAN, "uima.tcas.Annotation")
    types.create_feature(layer, "value", "uima.cas.String")
    types.create_feature(layer, "certainty", "uima.cas.String")
    link = types.create_type("webanno.custom.Bezug", "uima.tcas.Annotation")
    for name in ("Governor", "Dependent"):
        types.create_feature(link, name, SPAN)
    document = cassis.Cas(typesystem=types, sofa_string=TEXT, sofa_mime="text/plain")
    no, fever = (
        layer(begin=0, end=2, value="NEGATION"),
        layer(begin=3, end=8, value="PROBLEM", certainty="sure"),
    )
    leg = layer(begin=9, end=10)
    document.add_all([no, fever, leg, link(begin=0, end=2, Governor=fever, Dependent=no)])
    return document


def check(note):
    spans = [(note.text[s.start : s.end], s.label) for s in note.spans]
    assert spans == [("No", "NEGATION"), ("fever", "PROBLEM"), ("🦵", "Befund")]
    assert [(a.label, a.target, a.value) for a in note.attributes] == [("certainty", "T2", "sure")]
    assert [(r.head, r.tail) for r in note.relations] == [("T2", "T1")]


def test_json_of_a_projects_own_layers_is_read(cas, tmp_path):
    cas.to_json(tmp_path / "anna.json")
    (note,) = read_inception(tmp_path)
    check(note)
    # Without a title, the file's name.
    assert note.id == "anna"


def test_xmi_is_read_with_the_types_beside_it_and_from_a_zip(cas, tmp_path):
    cas.to_xmi(tmp_path / "anna.xmi")
    cas.typesystem.to_xml(tmp_path / "TypeSystem.xml")
    (note,) = read_inception(tmp_path / "anna.xmi")
    check(note)
    with zipfile.ZipFile(tmp_path / "anna.zip", "w") as archive:
        for name in ("anna.xmi", "TypeSystem.xml"):
            archive.write(tmp_path / name, name)
    (note,) = read_inception(tmp_path / "anna.zip")
    check(note)


def test_a_layer_that_the_types_do_not_have_is_refused(cas, tmp_path):
    cas.to_xmi(tmp_path / "anna.xmi")
    cassis_types().to_xml(tmp_path / "TypeSystem.xml")
    with pytest.raises(ClinnerError, match="no CAS that can be read"):
        list(read_inception(tmp_path / "anna.xmi"))


def test_what_is_no_cas_is_refused_without_a_word_of_it(tmp_path):
    (tmp_path / "a.json").write_text('{"patient": "Jane Doe"}')
    with pytest.raises(ClinnerError, match="no CAS that can be read") as error:
        list(read_inception(tmp_path / "a.json"))
    assert "Jane" not in str(error.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClinnerError, match="no CAS there"):
        list(read_inception(tmp_path / "empty"))


def project(folder, document="00001.json"):
    """What is exported of a project: folders named as the documents, and the documents as they
    were imported."""
    cas = suggested_cas()
    for place in (f"annotation/{document}/anna.json", f"annotation/{document}/bert.json",
                  f"source/{document}"):  # fmt: skip
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        cas.to_json(folder / place)
    return folder


def suggested_cas(**features):
    types = cassis_types()
    cas = cassis.Cas(typesystem=types, sofa_string=TEXT, sofa_mime="text/plain")
    cas.add(types.get_type("webanno.custom.ClinnerSpan")(begin=3, end=8, **features))
    return cas


def test_a_documents_folder_may_be_named_as_the_file_that_was_imported(tmp_path):
    project(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for path in sorted((tmp_path / "folder").rglob("*")):
            archive.write(path, path.relative_to(tmp_path / "folder"))
    for path in (tmp_path / "folder", tmp_path / "project.zip"):
        found = [who for who, _ in inception_by_annotator(path)]
        assert found == ["anna", "bert"]


def test_an_id_may_end_as_a_file_does(tmp_path):
    ids = ["note", "note.txt", "a.json", "layers", "note-layers", "exportedproject7"]
    write_cas([Suggestion(Note(name, TEXT), (), ()) for name in ids], tmp_path)
    notes = [*read_inception(tmp_path)]
    assert sorted(note.id for note in notes) == sorted(ids)
    assert all(not note.problems for note in notes)


def test_a_span_whose_label_was_forgotten_does_not_get_another_value_for_it(tmp_path):
    suggested_cas(assertion="absent").to_json(tmp_path / "a.json")
    (note,) = read_inception(tmp_path / "a.json")
    assert [span.label for span in note.spans] == ["ClinnerSpan"]
    assert [(a.label, a.value) for a in note.attributes] == [("assertion", "absent")]


def test_features_of_other_kinds_are_kept_as_text_or_told(tmp_path):
    types = cassis_types()
    layer = types.create_type(SPAN, "uima.tcas.Annotation")
    for name, kind in (("value", "String"), ("negated", "Boolean"), ("sure", "Boolean"),
                       ("grade", "Integer"), ("codes", "StringArray")):  # fmt: skip
        types.create_feature(layer, name, f"uima.cas.{kind}")
    document = cassis.Cas(typesystem=types, sofa_string=TEXT, sofa_mime="text/plain")
    codes = types.get_type("uima.cas.StringArray")(elements=["R50", "R51"])
    document.add(layer(begin=3, end=8, value="PROBLEM", negated=True, sure=False, grade=3,
                       codes=codes))  # fmt: skip
    document.to_json(tmp_path / "a.json")
    document.to_xmi(tmp_path / "a.xmi")
    types.to_xml(tmp_path / "TypeSystem.xml")
    for name in ("a.json", "a.xmi"):
        (note,) = read_inception(tmp_path / name)
        assert [span.label for span in note.spans] == ["PROBLEM"]
        said = {(a.label, a.value) for a in note.attributes}
        assert said == {("negated", "true"), ("grade", "3")}
        assert [problem.reason for problem in note.problems] == [FEATURE_LEFT_OUT]


def test_xmi_without_its_types_says_what_is_missing(cas, tmp_path):
    cas.to_xmi(tmp_path / "anna.xmi")
    with pytest.raises(ClinnerError, match=r"TypeSystem\.xml"):
        list(read_inception(tmp_path / "anna.xmi"))
    with zipfile.ZipFile(tmp_path / "anna.zip", "w") as archive:
        archive.write(tmp_path / "anna.xmi", "anna.xmi")
    with pytest.raises(ClinnerError, match=r"TypeSystem\.xml"):
        list(read_inception(tmp_path / "anna.zip"))
