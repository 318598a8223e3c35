"""The sample corpus, by gold annotation and by the released model, as OMOP and FHIR."""

import json
from datetime import UTC, datetime
from zipfile import ZipFile

import pytest
import spacy
from fhir.resources.R4B.bundle import Bundle
from fhir_resources import is_active_condition, resources
from finding_rows import notes

from spacy_clinner.corpora.alignment import Aligner
from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.schemes import load
from spacy_clinner.tables.annotate import as_table
from spacy_clinner.tables.fhir import bundles
from spacy_clinner.tables.findings import Selection, find
from spacy_clinner.tables.omop import note_nlp
from spacy_clinner.tables.omop_check import check_note_nlp
from spacy_clinner.tables.schemas import ENTITIES, LINKS

STAMP = ("en_clinner", "0.2.0", datetime(2026, 3, 1, tzinfo=UTC))
SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def predicted(pytestconfig, tmp_path_factory):
    """Documents as the released model reads them, by number."""
    pytest.importorskip("openvino")
    root, folder = pytestconfig.rootpath, tmp_path_factory.mktemp("model")
    (wheel,) = (root / "packages").glob("en_clinner_cpu-*.whl")
    ZipFile(wheel).extractall(folder)
    (model,) = folder.glob("en_clinner_cpu/en_clinner_cpu-*")
    nlp = spacy.load(model)
    paths = sorted((root / "corpus/sample").glob("*/*.txt"))
    texts = (path.read_text(encoding="utf8") for path in paths)
    return {str(number): doc for number, doc in enumerate(nlp.pipe(texts))}


def found_in(docs):
    """The tables of documents, as `annotate` makes them of one layer."""
    rows, linked = [], []
    for name, doc in docs.items():
        found, to = find(doc, Selection(layers=("clinical",)))
        rows += [(name, *row, *STAMP) for row in found]
        linked += [(name, *row) for row in to]
    return as_table(rows, ENTITIES), as_table(linked, LINKS)


def active_conditions(docs):
    """Where active Conditions were found; each Bundle is read by the library that knows FHIR."""
    active = set()
    for row in bundles(*found_in(docs), notes(*docs)).to_pylist():
        Bundle.model_validate_json(row["bundle"])
        for resource in filter(is_active_condition, resources(json.loads(row["bundle"]))):
            _, offset, length = resource["extension"][0]["extension"]
            start = offset["valueInteger"]
            active.add((row["note_id"], start, start + length["valueInteger"]))
    return active


def test_no_negation_condition_or_relative_in_gold_is_an_active_condition(root, nlp):
    """What annotators linked to a problem decides, whatever rules think."""
    nlp.add_pipe("clinner_sections")
    nlp.add_pipe("clinner_context", config={"combine": "relations"})
    aligner = Aligner(nlp, [load("clinical"), load("modifiers")], {})
    docs, linked = {}, set()
    for note in (n for split in SPLITS for n in read_brat(root / "corpus/sample" / split)):
        doc = docs[note.id] = aligner.align(note)[0]
        for _, component in nlp.pipeline:
            doc = component(doc)
        linked |= {
            (note.id, head.start_char, head.end_char)
            for head, tail, _ in doc._.relations
            if tail.label_ in ("NEGATION", "SUBJECT", "CONDITION")
        }
    active = active_conditions(docs)
    assert len(docs) == 90
    assert len(active) > 500
    assert len(linked) > 200
    assert not active & linked


def test_nothing_predicted_as_absent_or_anothers_is_an_active_condition(predicted):
    active = active_conditions(predicted)
    barred = {
        (name, ent.start_char, ent.end_char)
        for name, doc in predicted.items()
        for ent in doc.ents
        if ent._.negated
        or ent._.hypothetical
        or ent._.experiencer != "patient"
        or ent._.assertion not in ("present", "possible")
    }
    assert len(predicted) == 90
    assert len(active) > 500
    assert len(barred) > 200
    assert not active & barred


def test_the_checker_finds_no_fault_in_what_is_predicted(predicted):
    texts = {name: doc.text for name, doc in predicted.items()}
    table = note_nlp(*found_in(predicted), texts)
    assert check_note_nlp(table) == []
    assert table.num_rows == sum(len(doc.ents) for doc in predicted.values()) > 2000
    assert {*table["term_exists"].to_pylist()} == {"Y", "N"}
    assert {*table["term_temporal"].to_pylist()} == {"past", "present"}
