"""Whose annotations count, in what each tool exports of several annotators."""

import json
import zipfile
from dataclasses import replace

import pytest

from spacy_clinner.corpora.brat import write_brat
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.corrections import compare
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.inception import write_cas
from spacy_clinner.corpora.note import Note, NoteSpan
from spacy_clinner.corpora.suggestions import Suggestion
from spacy_clinner.errors import ClinnerError

TEXT = "No chest pain."
NO, PAIN, CHEST_PAIN = (0, 2, "NEGATION"), (9, 13, "PROBLEM"), (3, 13, "PROBLEM")
# Two of three have "chest pain", and two have "No".
SAID = {"anna": [NO, PAIN], "bert": [NO, CHEST_PAIN], "cleo": [CHEST_PAIN]}


def note_of(spans):
    found = (NoteSpan(f"T{at}", label, ((a, b),)) for at, (a, b, label) in enumerate(spans, 1))
    return Note("n1", TEXT, tuple(found))


def lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def prodigy(folder):
    return lines(
        folder / "export.jsonl",
        (
            {"text": TEXT, "meta": {"note_id": "n1"}, "answer": "accept",
             "spans": [{"start": a, "end": b, "label": label} for a, b, label in spans],
             "_annotator_id": f"corrected-{who}", "_session_id": f"corrected-{who}"}
            for who, spans in SAID.items()
        ),
    )  # fmt: skip


def doccano(folder, **more):
    """A file for each annotator, as its export with several of them."""
    for who, spans in SAID.items():
        record = {"id": 7, "text": TEXT, "note_id": "n1", "label": spans, "Comments": [], **more}
        lines(folder / f"{who}.jsonl", [record])
    return folder


def doccano_users(folder):
    """One record with the annotations of all, as its versions before 1.3 export it."""
    annotations = [
        {"start_offset": a, "end_offset": b, "label": label, "user": who}
        for who, spans in SAID.items()
        for a, b, label in spans
    ]
    record = {"id": 7, "text": TEXT, "note_id": "n1", "annotations": annotations}
    return lines(folder / "export.json1", [record])


def doccano_fields(folder):
    records = [
        {"text": TEXT, "note_id": "n1", "label": spans, "user": who} for who, spans in SAID.items()
    ]
    return lines(folder / "export.jsonl", records)


def brat(folder):
    for who, spans in SAID.items():
        write_brat([note_of(spans)], folder / who)
    return folder


def inception(folder):
    for who, spans in {**SAID, "INITIAL_CAS": [PAIN, CHEST_PAIN]}.items():
        tokens = ((0, 2), (3, 8), (9, 13), (13, 14))
        write_cas([Suggestion(note_of(spans), tokens, ((0, 14),))], folder)
        (written,) = folder.glob("*.json")
        (folder / "annotation/n1.txt").mkdir(parents=True, exist_ok=True)
        written.rename(folder / f"annotation/n1.txt/{who}.json")
    (folder / "exportedproject.json").write_text("{}")
    return folder


def inception_zips(folder):
    """As a project is exported: of each annotator a zip, here of JSON."""
    for file in sorted(inception(folder).rglob("annotation/n1.txt/*.json")):
        with zipfile.ZipFile(file.with_suffix(".zip"), "w") as archive:
            archive.write(file, file.name)
        file.unlink()
    return folder


def webanno(folder):
    for who, spans in SAID.items():
        rows = ["#FORMAT=WebAnno TSV 3", "#T_SP=custom.Span|label", "", "", f"#Text={TEXT}"]
        for at, (start, end) in enumerate([(0, 2), (3, 8), (9, 13), (13, 14)], 1):
            cell = next((f"{label}[{n}]" for n, (a, b, label) in enumerate(spans, 1)
                         if a <= start and end <= b), "_")  # fmt: skip
            rows.append(f"1-{at}\t{start}-{end}\t{TEXT[start:end]}\t{cell}\t")
        place = folder / f"annotation/n1.txt/{who}.tsv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(rows) + "\n")
    return folder


TOOLS = [
    (prodigy, "jsonl"),
    (doccano, "jsonl"),
    (doccano_users, "jsonl"),
    (doccano_fields, "jsonl"),
    (brat, "brat"),
    (inception, "inception"),
    (inception_zips, "inception"),
    (webanno, "webanno"),
]


@pytest.mark.parametrize(("export", "format"), TOOLS)
def test_one_annotator_is_chosen_or_most_of_them_decide(tmp_path, export, format):
    path = export(tmp_path)

    def spans(annotator):
        (note,) = read(path, format, annotator)
        assert (note.id, note.text) == ("n1", TEXT)
        return sorted((span.start, span.end, span.label) for span in note.spans)

    for who, said in SAID.items():
        assert spans(who) == sorted(said)
    assert spans("vote") == [NO, CHEST_PAIN]
    with pytest.raises(ClinnerError, match=r"nothing by an annotator 'dora'.*anna"):
        spans("dora")


def test_a_note_that_an_annotator_left_out_has_no_annotation(tmp_path):
    brat(tmp_path)
    write_brat([replace(note_of([]), id="n2", text="Fine.")], tmp_path / "more")
    for file in (tmp_path / "more").iterdir():
        file.rename(tmp_path / "bert" / file.name)
    first, second = read(tmp_path, "brat", "anna")
    assert (first.id, second.id, second.spans) == ("n1", "n2", ())
    assert second.problems[0].reason == "no annotation for the text"


def test_without_a_choice_a_folder_of_records_is_read_as_it_is(tmp_path):
    assert len(list(read(doccano(tmp_path), "jsonl"))) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClinnerError, match=r"no \.json or \.jsonl file there"):
        list(read(tmp_path / "empty", "jsonl"))


def test_a_format_that_does_not_tell_annotators_apart_is_refused(tmp_path):
    with pytest.raises(ClinnerError, match="conll does not tell annotators apart"):
        read(tmp_path, "conll", "anna")
    with pytest.raises(ClinnerError, match="unknown format"):
        read(tmp_path, "paper", "anna")


def test_a_document_that_nobody_opened_is_read_as_it_was(tmp_path):
    folder = inception(tmp_path) / "annotation/n1.txt"
    for who in SAID:
        (folder / f"{who}.json").unlink()
    (note,) = read(tmp_path, "inception")
    assert len(note.spans) == 2


@pytest.mark.parametrize("annotator", [None, "vote", "CURATION_USER"])
@pytest.mark.parametrize(("export", "format"), [(inception, "inception"), (webanno, "webanno")])
def test_who_curated_a_document_decides_for_all(tmp_path, export, format, annotator):
    annotated = export(tmp_path) / "annotation/n1.txt"
    curated = tmp_path / "curation/n1.txt"
    curated.mkdir(parents=True)
    (cleo,) = annotated.glob("cleo.*")
    cleo.rename(curated / f"CURATION_USER{cleo.suffix}")
    note = next(iter(read(tmp_path, format, annotator)))
    assert [(s.start, s.end, s.label) for s in note.spans] == SAID["cleo"]


def test_what_nobody_annotated_or_was_skipped_is_no_note_without_findings(tmp_path, nlp):
    span = {"start": 9, "end": 13, "text": "pain", "labels": ["PROBLEM"]}
    result = [{"id": "a", "type": "labels", "from_name": "label", "value": span}]
    texts = [TEXT, f"{TEXT} Again.", f"{TEXT} Once more."]
    given = [[{"completed_by": 1, "result": result}], [], [{"was_cancelled": True, "result": []}]]
    path = lines(
        tmp_path / "export.json1",
        (
            {"id": at, "data": {"text": text}, "annotations": annotations}
            for at, (text, annotations) in enumerate(zip(texts, given, strict=True), 1)
        ),
    )
    assert [note.annotated for note in read(path, "jsonl")] == [True, False, False]
    suggested = [replace(note_of([PAIN]), id=f"{at}", text=t) for at, t in enumerate(texts, 1)]
    done = compare(suggested, [*read(path, "jsonl")])
    assert (done.notes, done.missing, done.total()) == (1, 2, {"accepted": 1})
    (tmp_path / "mine.toml").write_text(
        f"[mine]\nformat = 'jsonl'\nlayers = ['clinical']\ntrain = ['{path}']\n"
    )
    kept = convert(find_corpus("mine", tmp_path / "mine.toml"), nlp, tmp_path / "out")
    assert kept.notes == {"train": 1}
    assert kept.losses_by_reason() == {"note left out: no annotation for the text": 2}


def test_who_did_not_annotate_a_note_has_no_vote_on_it(tmp_path):
    brat(tmp_path)
    for who in ("dora", "emil", "fred"):
        (tmp_path / who).mkdir()
        (tmp_path / who / "n1.txt").write_text(TEXT)
    (note,) = read(tmp_path, "brat", "vote")
    assert [span.label for span in note.spans] == ["NEGATION", "PROBLEM"]
    assert note.annotated
    for who in SAID:
        (tmp_path / who / "n1.ann").unlink()
    (note,) = read(tmp_path, "brat", "vote")
    assert not note.annotated


def test_a_note_that_only_others_annotated_did_not_come_back_from_an_annotator(tmp_path):
    brat(tmp_path)
    other = replace(note_of([PAIN]), id="n2", text="No chest pain at all.")
    write_brat([other], tmp_path / "more")
    for file in (tmp_path / "more").iterdir():
        file.rename(tmp_path / "bert" / file.name)
    done = compare([note_of(SAID["anna"]), other], [*read(tmp_path, "brat", "anna")])
    assert (done.notes, done.missing, done.total()["deleted"]) == (1, 1, 0)


@pytest.mark.parametrize("annotator", [None, "vote", "anna"])
def test_a_document_that_nobody_opened_accepts_nothing(tmp_path, annotator):
    folder = inception(tmp_path) / "annotation"
    other = replace(note_of([PAIN]), id="n2", text="No chest pain at all.")
    write_cas([Suggestion(other, ((0, 2),), ((0, 21),))], tmp_path)
    (folder / "n2.txt").mkdir()
    (tmp_path / "n2.json").rename(folder / "n2.txt/INITIAL_CAS.json")
    found = {note.text: note.annotated for note in read(tmp_path, "inception", annotator)}
    assert found == {TEXT: True, other.text: False}


def tasks(folder, *annotators, texts=(TEXT,)):
    """Tasks of Label Studio; each annotator is a name, spans, and more of the annotation."""
    found = []
    for number, text in enumerate(texts, 1):
        annotations = []
        for who, spans, more in annotators:
            results = [
                {"id": f"r{at}", "type": "labels", "from_name": "label",
                 "value": {"start": a, "end": b, "text": text[a:b], "labels": [label]}}
                for at, (a, b, label) in enumerate(spans)
            ]  # fmt: skip
            by = {"id": 1, "email": who} if who else None
            annotations.append({"completed_by": by, "result": results, **more})
        data = {"text": text, "note_id": f"n{number}"}
        found.append({"id": number, "data": data, "annotations": annotations})
    (folder / "export.json").write_text(json.dumps(found))
    return folder / "export.json"


def spans_of(path, annotator):
    (note,) = read(path, "jsonl", annotator)
    return sorted((span.start, span.end, span.label) for span in note.spans)


def test_an_address_is_not_taken_for_another_that_ends_as_it(tmp_path):
    path = tasks(tmp_path, ("ann@h.org", [NO], {}), ("mary-ann@h.org", [PAIN], {}))
    assert spans_of(path, "ann@h.org") == [NO]
    only_mary = tasks(tmp_path, ("mary-ann@h.org", [PAIN], {}))
    with pytest.raises(ClinnerError, match=r"nothing by an annotator 'ann@h\.org'"):
        spans_of(only_mary, "ann@h.org")


def test_a_file_is_not_taken_for_another_whose_name_ends_as_it(tmp_path):
    for who, spans in (("ann", [NO]), ("mary-ann", [PAIN])):
        lines(tmp_path / f"{who}.jsonl", [{"id": 7, "text": TEXT, "label": spans}])
    assert spans_of(tmp_path, "ann") == [NO]


def test_the_name_of_a_session_must_tell_it_from_others(tmp_path):
    records = [
        {"text": TEXT, "spans": [], "answer": "accept", "_session_id": f"corrected-{who}"}
        for who in ("ann", "mary-ann", "bert")
    ]
    path = lines(tmp_path / "export.jsonl", records)
    assert spans_of(path, "bert") == []
    with pytest.raises(ClinnerError, match="corrected-ann, corrected-mary-ann"):
        spans_of(path, "ann")


@pytest.mark.parametrize("annotator", [None, "ann@h.org", "vote"])
def test_the_ground_truth_counts_of_what_one_annotator_made_twice(tmp_path, annotator):
    for order in (1, -1):
        made = [("ann@h.org", [NO], {"ground_truth": True}), ("ann@h.org", [PAIN], {})]
        assert spans_of(tasks(tmp_path, *made[::order]), annotator) == [NO]


def test_two_tasks_with_one_text_are_two(tmp_path):
    path = tasks(tmp_path, ("ann@h.org", [NO], {}), ("b@h.org", [NO], {}), texts=(TEXT, TEXT))
    assert [note.id for note in read(path, "jsonl", "vote")] == ["n1", "n2"]


def test_records_without_an_id_are_one_by_their_text(tmp_path):
    records = [{"text": TEXT, "spans": [], "_session_id": f"corrected-{who}"} for who in SAID]
    assert spans_of(lines(tmp_path / "export.jsonl", records), "vote") == []
