import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import BAD, failing, rules
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from spacy_clinner.annotation import store
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables import reading
from spacy_clinner.tables.annotate import annotate
from spacy_clinner.tables.findings import _ents
from spacy_clinner.tables.schemas import ENTITIES, LINKS, NOTES, SCHEMAS

# Hypothesis asks for no fixtures of a module.
RULES, FAILING = rules(), failing()
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def nlp():
    return RULES


def batch(texts, **columns):
    texts = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    ids = pa.array([f"n{at}" for at in range(len(texts))])
    return pa.RecordBatch.from_pydict({"note_id": ids, "text": texts, **columns})


def test_an_entity_is_a_row_with_what_is_asserted_of_it(nlp):
    found = annotate(batch(["Denies fever. Took aspirin."]), nlp, processed_at=WHEN)
    fever, aspirin = found.entities.to_pylist()
    assert fever == {
        "note_id": "n0",
        "entity_id": "ents:PROBLEM:7:12",
        "layer": "ents",
        "label": "PROBLEM",
        "semantic_group": "Disorders",
        "start": 7,
        "end": 12,
        "text": "fever",
        "confidence": None,
        "assertion": "absent",
        "negated": True,
        "uncertain": False,
        "hypothetical": False,
        "historical": False,
        "experiencer": "patient",
        "cue_start": 0,
        "cue_end": 6,
        "cue_text": "Denies",
        "evidence": ["rule:neg_denies"],
        "section": None,
        "model": "en_rules",
        "model_version": "0.0.0",
        "processed_at": WHEN,
    }
    assert (aspirin["text"], aspirin["negated"], aspirin["cue_text"]) == ("aspirin", False, None)


def test_the_schemas_are_those_that_are_documented_even_of_nothing(nlp):
    for texts in ([], ["Denies fever."], [None, ""]):
        found = annotate(batch(texts), nlp)
        for name, schema in SCHEMAS.items():
            table = getattr(found, name)
            assert table.schema.equals(schema)
            assert table.schema.metadata == schema.metadata
            table.validate(full=True)
    assert ENTITIES.metadata[b"clinner_schema_version"] == b"1"
    every = [field for schema in (ENTITIES, LINKS, NOTES) for field in schema]
    assert all(field.metadata[b"meaning"] for field in every)
    assert all(b"unit" in f.metadata for f in every if f.name in ("start", "end", "n_characters"))


def test_the_page_shows_the_columns_of_the_schemas(root):
    page = (root / "docs/how-to/tables.md").read_text(encoding="utf8")
    names = {"list<item: string not null>": "list of string"}
    names |= {"timestamp[us, tz=UTC]": "timestamp (µs, UTC)"}
    for name, schema in SCHEMAS.items():
        lines = page.partition(f"### {name}\n")[2].partition("###")[0].splitlines()
        shown = [line.split(" | ")[:3] for line in lines if line.startswith("| `")]
        assert shown == [
            [
                f"| `{field.name}`",
                names.get(str(field.type), str(field.type)),
                "may be" if field.nullable else "never",
            ]
            for field in schema
        ]


def test_notes_without_words_are_rows_with_a_status(nlp):
    notes = annotate(batch(["fever", "", " \n", None]), nlp).notes.to_pylist()
    assert [(n["status"], n["error"], n["n_characters"], n["n_entities"]) for n in notes] == [
        ("ok", None, 5, 1),
        ("empty", None, 0, 0),
        ("empty", None, 2, 0),
        ("empty", "the text is null", None, 0),
    ]
    assert notes[0]["sha256"] == hashlib.sha256(b"fever").hexdigest()
    assert notes[3]["sha256"] is None


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (pa.array([1, None]), "the text is no string but int64"),
        (pa.array([["fever"], None]), "the text is no string but list<item: string>"),
        (pa.array([b"caf\xe9 fever", None]), "not UTF-8 (byte 0xe9 at byte 3)"),
    ],
)
def test_a_text_that_is_no_string_is_a_row_failed(nlp, texts, error):
    failed, null = annotate(batch(texts), nlp).notes.to_pylist()
    assert (failed["status"], failed["error"]) == ("failed", error)
    assert null["status"] == "empty"


def test_the_digest_is_of_the_text_as_it_was_read_and_null_where_none_could_be(nlp):
    texts = pa.array(["caf\u00e9\r\n".encode(), b"", b"caf\xe9", None, "half \ufffd".encode()])
    found = annotate(batch(texts), nlp).notes
    read = ["caf\u00e9\r\n", "", None, None, "half \ufffd"]
    digests = [t if t is None else hashlib.sha256(t.encode()).hexdigest() for t in read]
    assert found["sha256"].to_pylist() == digests
    assert found["n_characters"].to_pylist() == [None if t is None else len(t) for t in read]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.utf8())]
)
def test_texts_of_any_arrow_type_are_read(nlp, kind):
    expected = annotate(batch(["No fever.", None, "café aspirin"]), nlp, processed_at=WHEN)
    texts = pa.array(["No fever.", None, "café aspirin"], pa.string()).cast(kind)
    assert annotate(batch(texts), nlp, processed_at=WHEN) == expected


@pytest.mark.parametrize(
    ("ids", "strings"),
    [
        (pa.array([7, -1]), ["7", "-1"]),
        (pa.array([1.5, 2.0]), ["1.5", "2"]),
        (pa.array(["a", ""]), ["a", ""]),
        (pa.array([True, False]), ["true", "false"]),
    ],
)
def test_ids_become_strings_and_their_type_is_kept(nlp, ids, strings):
    notes = pa.RecordBatch.from_pydict({"note_id": ids, "text": ["fever", "fever"]})
    found = annotate(notes, nlp)
    assert found.notes["note_id"].to_pylist() == strings
    assert found.entities["note_id"].to_pylist() == strings
    field = found.notes.schema.field("note_id")
    assert field.metadata[b"type_in_source"].decode() == str(ids.type)


def test_other_columns_are_passed_through_with_their_types(nlp):
    wards = pa.array(["A", None])
    seen = pa.array([{"at": 1}, None])
    found = annotate(batch(["fever", None], ward=wards, seen=seen), nlp).notes
    assert found.column_names == [*NOTES.names, "ward", "seen"]
    assert found["ward"].combine_chunks() == wards
    assert found["seen"].combine_chunks() == seen


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        (
            {"note_id": ["a"], "body": ["fever"]},
            "no column 'text'; their .* note_id, body",
        ),
        ({"text": ["fever"]}, "no column 'note_id'"),
        ({"note_id": ["a"], "text": ["fever"], "status": ["x"]}, "columns status, which is a name"),
        ({"note_id": [["a"]], "text": ["fever"]}, "ids are of type list.*cannot be written"),
        ({"note_id": ["a"], "text": ["fever"], "STATUS": ["x"]}, "columns STATUS, which is a name"),
        ({"note_id": ["a"], "text": [""], "w": [1], "W": [2]}, "w, W, which are one name to a dat"),
        ({"note_id": ["a", None], "text": ["", ""]}, "Of the ids 1 are null"),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused(nlp, notes, says):
    with pytest.raises(ClinnerError, match=says):
        annotate(pa.RecordBatch.from_pydict(notes), nlp)


def test_ids_of_bytes_and_uuids_are_written_as_strings(nlp):
    one = UUID("12345678-1234-5678-1234-567812345678")
    for ids, written in [
        (pa.array([b"a\xff"], pa.binary()), "a\ufffd"),
        (pa.array([b"a\xff"], pa.binary_view()), "a\ufffd"),
        (pa.array([one.bytes], pa.binary(16)), str(one)),
        (pa.array([one.bytes], pa.uuid()), str(one)),
        (pa.array([b"abc"], pa.binary(3)), "abc"),
        (pa.array(["a"]).dictionary_encode(), "a"),
    ]:
        notes = pa.RecordBatch.from_pydict({"note_id": ids, "text": ["fever"]})
        found = annotate(notes, nlp)
        assert found.notes["note_id"].to_pylist() == [written]
        assert found.entities["note_id"].to_pylist() == [written]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": "ents"}, r"layers must be a list of names, such as \['ents'\]"),
        ({"only": "problem"}, "only must be a list of names"),
        ({"layers": []}, "layers names nothing"),
        ({"only": []}, "only names nothing"),
        ({"layers": ["clincal"]}, "The model has no layer 'clincal'; it has ents"),
    ],
)
def test_a_choice_that_would_find_nothing_is_refused(nlp, options, says):
    with pytest.raises(ClinnerError, match=says):
        annotate(batch(["fever"]), nlp, **options)


def test_layers_may_come_one_by_one_and_a_component_of_ones_own_may_write_any(layered):
    found = annotate(
        batch(["fever aspirin 5mg"]), layered, layers=(name for name in ["nowhere", "clinical"])
    )
    assert set(found.entities["layer"].to_pylist()) == {"clinical"}


@settings(max_examples=20)
@given(bad=st.sets(st.integers(0, 49), max_size=5))
def test_a_note_that_makes_a_component_raise_costs_no_other(bad):
    nlp = FAILING
    texts = [f"No fever {at}. {BAD if at in bad else ''}" for at in range(50)]
    found = annotate(batch(texts), nlp)
    statuses = found.notes["status"].to_pylist()
    assert {at for at, status in enumerate(statuses) if status == "failed"} == bad
    assert set(found.notes["error"].to_pylist()) <= {None, "RuntimeError in breaks"}
    assert found.entities.num_rows == 50 - len(bad)
    assert found.notes["n_entities"].to_pylist() == [int(at not in bad) for at in range(50)]


def test_notes_that_all_fail_are_rows():
    found = annotate(batch([BAD] * 1500), failing())
    assert set(found.notes["status"].to_pylist()) == {"failed"}


def test_a_note_that_an_error_handler_drops_is_a_row_failed():
    nlp = failing()
    nlp.set_error_handler(lambda *_: None)
    found = annotate(batch(["fever", BAD, "fever", BAD]), nlp)
    assert found.notes["status"].to_pylist() == ["ok", "failed", "ok", "failed"]
    assert found.notes["error"].to_pylist()[1] == "dropped by an error handler in the pipeline"
    assert found.entities["note_id"].to_pylist() == ["n0", "n2"]


def test_a_note_that_the_tokenizer_refuses_is_a_row_failed():
    nlp = rules()
    nlp.max_length = 10
    notes = annotate(batch(["fever", "fever and more"]), nlp).notes.to_pylist()
    assert [note["error"] for note in notes] == [None, "ValueError in tokenizer"]


def test_what_a_source_found_wrong_is_a_row_failed(nlp):
    found = annotate(batch(["fever", "fever"]), nlp, faults=[None, "a second note with this id"])
    assert found.notes["status"].to_pylist() == ["ok", "failed"]
    assert found.notes["error"][1].as_py() == "a second note with this id"
    assert found.entities.num_rows == 1


@pytest.fixture
def layered(nlp):
    """Layers, confidences and a link as a model writes them."""

    @Language.component("layered")
    def component(doc):
        one, two = Span(doc, 0, 1, "PROBLEM"), Span(doc, 1, 2, "DRUG")
        doc.spans["clinical"] = SpanGroup(doc, name="clinical", spans=[two, one])
        doc.spans["bc5cdr"] = SpanGroup(doc, name="bc5cdr", spans=[Span(doc, 0, 1, "DISEASE")])
        much = Span(doc, 2, 3, "STRENGTH")
        doc.spans["modifiers"] = SpanGroup(doc, name="modifiers", spans=[much])
        place = (much.start_char - two.start_char, much.end_char - two.start_char, "STRENGTH", "")
        said = {"confidence": 0.9, "modifiers": [(place, 0.7)]}
        store.write(doc, [(one, {"confidence": 0.4}), (two, said)])
        doc.ents = [one]
        return doc

    pipeline = rules()
    for name in list(pipeline.pipe_names):
        pipeline.remove_pipe(name)
    pipeline.add_pipe("layered")
    return pipeline


def test_all_layers_that_hold_entities_are_taken_each_span_once(layered):
    found = annotate(batch(["fever aspirin 5mg"]), layered)
    assert found.entities["entity_id"].to_pylist() == [
        "clinical:PROBLEM:0:5",
        "clinical:DRUG:6:13",
        "bc5cdr:DISEASE:0:5",
    ]
    assert found.links.to_pylist() == [
        {
            "note_id": "n0",
            "entity_id": "clinical:DRUG:6:13",
            "label": "STRENGTH",
            "start": 14,
            "end": 15,
            "text": "5",
            "confidence": 0.7,
        }
    ]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"layers": ["modifiers"]}, ["modifiers:STRENGTH:14:15"]),
        ({"layers": ["ents"]}, ["ents:PROBLEM:0:5"]),
        ({"only": ["drug", "Disease"]}, ["clinical:DRUG:6:13", "bc5cdr:DISEASE:0:5"]),
        ({"threshold": 0.5}, ["clinical:DRUG:6:13", "bc5cdr:DISEASE:0:5"]),
        ({"threshold": {"clinical": 0.95}}, ["bc5cdr:DISEASE:0:5"]),
    ],
)
def test_layers_labels_and_confidence_select_entities(layered, options, ids):
    found = annotate(batch(["fever aspirin 5mg"]), layered, **options)
    assert found.entities["entity_id"].to_pylist() == ids
    assert found.notes["n_entities"].to_pylist() == [len(ids)]
    assert set(found.links["entity_id"].to_pylist()) <= set(ids)


def test_without_text_no_word_of_a_note_is_in_the_tables(layered, nlp):
    for pipeline in (layered, nlp):
        found = annotate(batch(["Denies fever aspirin"]), pipeline, no_text=True)
        for table in found:
            told = str(table.to_pylist()).lower()
            assert not [word for word in ("fever", "denies", "aspirin") if word in told]
        assert found.entities["start"].null_count == 0


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=8))
def test_offsets_are_of_the_words_and_every_note_is_a_row(texts):
    texts = [t and t.encode("utf8", "replace").decode() + " fever" for t in texts]
    found = annotate(batch(texts), RULES)
    assert found.notes["note_id"].to_pylist() == [f"n{at}" for at in range(len(texts))]
    for row in found.entities.to_pylist():
        assert texts[int(row["note_id"][1:])][row["start"] : row["end"]] == row["text"]
    assert found.notes["n_characters"].to_pylist() == [None if t is None else len(t) for t in texts]


def test_very_long_notes_and_very_many_empty_ones_are_rows(nlp):
    long = "No fever today.\n" * 4_000
    found = annotate(batch([long, *[""] * 10_000]), nlp)
    assert found.notes["status"].value_counts().to_pylist() == [
        {"values": "ok", "counts": 1},
        {"values": "empty", "counts": 10_000},
    ]
    assert found.entities.num_rows == 4_000


class TakesAll:
    """A component that takes all documents of a stream before it gives the first one."""

    def __init__(self):
        self.streams = []

    def __call__(self, doc):
        return doc

    def pipe(self, stream, **_):
        docs = list(stream)
        self.streams.append(len(docs))
        yield from docs


def test_of_very_long_notes_few_are_in_memory_at_once(monkeypatch):
    monkeypatch.setattr(reading, "CHARACTERS", 20)
    takes_all = TakesAll()
    pipeline = rules()
    Language.component("takes_all", func=takes_all)
    pipeline.add_pipe("takes_all")
    found = annotate(batch(["fever", "fever", "fever" * 9, "fever", "fever", None]), pipeline)
    assert takes_all.streams == [2, 1, 2]
    assert found.entities["note_id"].to_pylist() == ["n0", "n1", "n3", "n4"]


@given(st.lists(st.sampled_from(["O", "B", "I", "C"]), min_size=1, max_size=12))
def test_tokens_of_entities_are_those_of_spacy(tags):
    words = [f"w{at}" for at in range(len(tags))]
    spans = [(at, at + 1 + ("I" in tags[at + 1 : at + 2])) for at, t in enumerate(tags) if t != "O"]
    doc = Doc(RULES.vocab, words)
    kept = [span for at, span in enumerate(spans) if at == 0 or spans[at - 1][1] <= span[0]]
    doc.set_ents([Span(doc, start, min(end, len(doc)), "X") for start, end in kept])
    assert _ents(doc) == {(ent.start, ent.end, ent.label) for ent in doc.ents}


def test_a_note_that_no_language_model_read_is_failed_and_not_without_findings():
    pytest.importorskip("httpx", reason='needs pip install "spacy-clinner[llm]"')
    nlp = spacy.blank("en")
    # Nothing listens at port 1.
    nlp.add_pipe(
        "clinner_llm", config={"base_url": "http://127.0.0.1:1/v1", "model": "m", "tries": 1}
    )
    found = annotate(batch(["Denies fever.", ""]), nlp).notes.to_pylist()
    assert [(note["status"], note["error"]) for note in found] == [
        ("failed", "RequestFailed in clinner_llm"),
        ("empty", None),
    ]
