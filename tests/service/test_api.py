import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid5

import pyarrow as pa
import pytest
import spacy
from fhir.resources.R4B.bundle import Bundle
from servers import notes

from spacy_clinner.tables.annotate import annotate
from spacy_clinner.tables.comprehend_medical import to_comprehend_medical
from spacy_clinner.tables.fhir import NAMESPACE, bundles
from spacy_clinner.tables.huggingface import to_entities

TEXTS = (
    "Denies fever.\nFamily History: chest pain in his mother. Aspirin daily.",
    "No cough 🙂, but fever?",
    "  ",
    "",
)


@pytest.fixture(scope="module")
def nlp(rules):
    return spacy.load(rules)


def test_an_answer_holds_what_annotate_puts_in_its_tables(api, nlp):
    answer = api.post("/v1/annotate", json=notes(*TEXTS))
    assert answer.status_code == 200
    batch = pa.RecordBatch.from_pydict({"note_id": list("0123"), "text": list(TEXTS)})
    tables = annotate(batch, nlp)
    found = answer.json()["notes"]
    for table, rows in (("entities", "entities"), ("links", "links")):
        flat = [{"note_id": note["note_id"], **row} for note in found for row in note[rows]]
        expected = [
            {k: v for k, v in row.items() if k not in ("model", "model_version", "processed_at")}
            for row in getattr(tables, table).to_pylist()
        ]
        assert flat == expected
    stamps = {(row["model"], row["model_version"]) for row in tables.entities.to_pylist()}
    assert {(note["model"], note["model_version"]) for note in found} == stamps
    names = tables.notes.schema.names
    assert [{name: note[name] for name in names} for note in found] == tables.notes.to_pylist()
    assert [note["status"] for note in found] == ["ok", "ok", "empty", "empty"]


def test_offsets_count_characters_also_behind_an_emoji(api):
    (note,) = api.post("/v1/annotate", json=notes(TEXTS[1])).json()["notes"]
    for entity in note["entities"]:
        assert TEXTS[1][entity["start"] : entity["end"]] == entity["text"]
    assert {entity["text"] for entity in note["entities"]} == {"cough", "fever"}


def test_a_note_that_fails_costs_no_other_and_says_where(api):
    answer = api.post("/v1/annotate", json=notes("No fever.", "This breaks.", "Has cough."))
    one, failed, other = answer.json()["notes"]
    assert (one["status"], failed["status"], other["status"]) == ("ok", "failed", "ok")
    assert failed["error"] == "RuntimeError in slow_or_failing"
    assert (one["n_entities"], failed["n_entities"], other["n_entities"]) == (1, 0, 1)


def test_the_shapes_of_others_are_those_that_python_gives(api, nlp):
    doc = nlp(TEXTS[0])
    asked = notes(TEXTS[0])
    found = api.post("/v1/annotate?format=huggingface", json=asked).json()
    assert found == [to_entities(doc)]
    found = api.post("/v1/annotate?format=comprehend-medical", json=asked).json()
    assert found == [to_comprehend_medical(doc, version="1.2")]
    assert found[0]["Entities"][0]["Traits"] == [{"Name": "NEGATION", "Score": None}]


def test_a_bundle_of_fhir_is_the_one_that_the_command_writes(api, nlp):
    made = api.post("/v1/annotate?format=fhir", json=notes(TEXTS[0], " ")).json()
    batch = pa.RecordBatch.from_pydict({"note_id": ["0", "1"], "text": [TEXTS[0], " "]})
    expected = [json.loads(b) for b in bundles(*annotate(batch, nlp, layers=["ents"]))["bundle"]
                .to_pylist()]  # fmt: skip
    assert [timeless(bundle) for bundle in made] == [timeless(bundle) for bundle in expected]
    kinds = {entry["resource"]["resourceType"] for entry in made[0]["entry"]}
    assert kinds >= {"Condition", "FamilyMemberHistory", "Provenance"}


def timeless(value):
    """Plain data without times, and what is made of them."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items()
                if key not in ("recorded", "timestamp", "processed_at")}  # fmt: skip
    return [timeless(item) for item in value] if isinstance(value, list) else value


SHAPES = ("huggingface", "comprehend-medical", "fhir")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_note_that_fails_costs_no_other_in_the_shapes_of_others_too(api, nlp, shape):
    texts = ("No fever.", "This breaks.", "Has cough.")
    answer = api.post(f"/v1/annotate?format={shape}", json=notes(*texts))
    assert answer.status_code == 200
    one, failed, other = (timeless(item) for item in answer.json())
    alone = [
        timeless(api.post(f"/v1/annotate?format={shape}", json=asked).json()[0])
        for asked in (notes(texts[0]), {"notes": [{"id": "2", "text": texts[2]}]})
    ]
    assert [one, other] == alone
    assert failed == FAILED[shape]


FAILED = {
    "huggingface": [
        {
            **{"entity_group": "ERROR", "score": 0.0, "word": "", "start": 0, "end": 0},
            **{"assertion": None, "error": "RuntimeError in slow_or_failing"},
        }
    ],
    "comprehend-medical": {
        **{"Entities": [], "UnmappedAttributes": [], "ModelVersion": "1.2"},
        "ErrorCode": "InternalServerException",
        "ErrorMessage": "RuntimeError in slow_or_failing",
    },
    "fhir": {
        "resourceType": "Bundle",
        "id": str(uuid5(NAMESPACE, "1")),
        "type": "collection",
        "entry": [
            {
                "fullUrl": f"urn:uuid:{uuid5(NAMESPACE, '1' + chr(10) + 'outcome')}",
                "resource": {
                    "resourceType": "OperationOutcome",
                    "id": str(uuid5(NAMESPACE, "1\noutcome")),
                    "issue": [
                        {
                            "severity": "fatal",
                            "code": "exception",
                            "diagnostics": "RuntimeError in slow_or_failing",
                        }
                    ],
                },
            }
        ],
    },
}


def test_a_failed_note_is_a_bundle_that_readers_of_fhir_take(api):
    (failed,) = api.post("/v1/annotate?format=fhir", json=notes("This breaks.")).json()
    bundle = Bundle.model_validate(failed)
    assert bundle.entry[0].resource.issue[0].code == "exception"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_note_is_one_without_findings_in_every_shape(full, shape):
    with full.client() as client:
        for layers in (None, ["clinical"]):
            asked = notes("", " \n", "No fever.") | {"layers": layers}
            answer = client.post(f"/v1/annotate?format={shape}", json=asked)
            assert answer.status_code == 200, answer.text
            empty, blank, filled = answer.json()
            assert "ERROR" not in answer.text
            assert len(json.dumps(empty)) == len(json.dumps(blank)) < len(json.dumps(filled))


def test_no_layer_at_all_gives_nothing_in_every_shape(api):
    for shape in ("clinner", *SHAPES):
        asked = notes("No fever.") | {"layers": []}
        answer = api.post(f"/v1/annotate?format={shape}", json=asked)
        assert answer.status_code == 200, answer.text
        assert "fever" not in answer.text


def test_a_note_with_an_empty_id_is_a_bundle_that_readers_of_fhir_take(api):
    asked = {"notes": [{"id": "", "text": "No fever."}]}
    (made,) = api.post("/v1/annotate?format=fhir", json=asked).json()
    assert Bundle.model_validate(made).entry


def test_layers_and_threshold_choose_what_is_given(full):
    text = "Severe knee pain. Aspirin 81 mg daily."
    with full.client() as client:
        every = client.post("/v1/annotate", json=notes(text)).json()["notes"][0]
        chosen = notes(text) | {"layers": ["modifiers"], "threshold": 0.9}
        found = client.post("/v1/annotate", json=chosen).json()["notes"][0]
        unknown = client.post("/v1/annotate", json=notes(text) | {"layers": ["clinical", "no"]})
    assert {entity["layer"] for entity in found["entities"]} == {"modifiers"}
    assert all(entity["confidence"] >= 0.9 for entity in found["entities"])
    assert {entity["layer"] for entity in every["entities"]} >= {"clinical", "maccrobat"}
    assert every["links"]
    assert unknown.status_code == 422
    assert "clinical, modifiers" in unknown.json()["error"]["message"]


def test_layers_are_named_once_though_they_are_asked_for_twice_and_may_be_ents_or_all(api, nlp):
    text = "Denies fever."
    for shape in ("clinner", *SHAPES):
        address = f"/v1/annotate?format={shape}"

        def asked(layers, address=address):
            answer = api.post(address, json=notes(text) | {"layers": layers})
            assert answer.status_code == 200, answer.text
            return timeless(answer.json())

        once = asked(["ents"])
        assert "fever" in json.dumps(once)
        assert asked(["ents", "ents"]) == once
        assert asked(["*"]) == once
        # A component that is not ours may write any group, and this note has none of this name.
        assert "fever" not in json.dumps(asked(["mine"]))
    batch = pa.RecordBatch.from_pydict({"note_id": ["0"], "text": [text]})
    assert annotate(batch, nlp, layers=["ents", "ents"]).entities.num_rows == 1


def test_a_model_whose_entities_are_of_other_components_tells_of_them(api):
    (layer,) = api.get("/v1/model").json()["layers"]
    assert (layer["name"], layer["entities"]) == ("ents", True)
    names = {label["name"]: label["semantic_group"] for label in layer["labels"]}
    assert names == {"PROBLEM": "Disorders", "DRUG": "Chemicals & Drugs"}


def test_what_is_found_does_not_depend_on_what_is_computed_with_it(full, root):
    texts = [path.read_text("utf8") for path in sorted((root / "corpus/sample/dev").glob("*.txt"))]
    with full.client() as client:
        alone = [client.post("/v1/annotate", json=notes(text)).json()["notes"][0] for text in texts]
        together = client.post("/v1/annotate", json=notes(*texts)).json()["notes"]
        with ThreadPoolExecutor(len(texts)) as threads:
            of_many = list(
                threads.map(lambda t: client.post("/v1/annotate", json=notes(t)).json(), texts)
            )
    crowd = [answer["notes"][0] for answer in of_many]
    assert [same(note) for note in together] == [same(note) for note in alone]
    assert [same(note) for note in crowd] == [same(note) for note in alone]


def same(note):
    """What must be the same: all but times and ids of requests; numbers up to rounding."""
    found = {key: value for key, value in note.items() if key not in ("processed_at", "note_id")}
    text = json.dumps(found)
    return json.loads(text, parse_float=lambda number: round(float(number), 6))


def test_the_model_is_described_by_its_labels_version_licence_and_scores(full):
    with full.client() as client:
        model = client.get("/v1/model").json()
    assert (model["name"], model["licence"]) == ("en_clinner_cpu", "MIT AND Apache-2.0")
    layers = {layer["name"]: layer for layer in model["layers"]}
    names = sorted(label["name"] for label in layers["clinical"]["labels"])
    assert names == ["DRUG", "PROBLEM", "TEST", "TREATMENT"]
    assert layers["clinical"]["entities"]
    assert not layers["modifiers"]["entities"]
    assert all(label["color"].startswith("#") for label in layers["modifiers"]["labels"])
    assert {"entity": "DRUG", "modifier": "STRENGTH"} in model["links"]
    assert 0.5 < model["scores"]["clinical_f"] < 1
    assert model["limits"]["note_characters"] == 200_000


def test_the_examples_are_five_notes_of_the_sample_corpus(api, root):
    examples = api.get("/v1/examples").json()["examples"]
    assert len(examples) == 5
    for example in examples:
        (path,) = (root / "corpus/sample").glob(f"*/{example['id']}.txt")
        assert path.read_text("utf8") == example["text"]
        assert example["title"]
