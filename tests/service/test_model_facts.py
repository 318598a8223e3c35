"""What the service says of the layers of any pipeline, and which may be asked for."""

import asyncio

import pytest
import spacy
from spacy.language import Language

from spacy_clinner.pipeline.layer_roles import known_layers

pytest.importorskip("fastapi", reason="fastapi is missing: pip install .[serve,test]")
httpx = pytest.importorskip("httpx", reason="httpx is missing: pip install .[test]")

from spacy_clinner.service.app import create_app  # noqa: E402
from spacy_clinner.service.limits import Limits  # noqa: E402
from spacy_clinner.service.model_facts import model_facts  # noqa: E402

PATTERNS = [{"label": "PROBLEM", "pattern": "fever"}]
SCHEME = """layer = "mine"
[labels]
SKIN = {description = "A finding of the skin", semantic_group = "Disorders"}
SIDE = {description = "Left or right"}
[pairs]
SKIN = ["SIDE"]
"""


@Language.component("any_groups")
def any_groups(doc):
    return doc


def layers(nlp):
    facts = model_facts(nlp, Limits())
    told = facts["layers"]
    return {one["name"]: [label["name"] for label in one["labels"]] for one in told}


def ruled(name, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe(name, config=config).add_patterns(PATTERNS)
    return nlp


def test_entities_of_a_ruler_are_the_layer_ents_and_groups_have_their_key():
    assert layers(ruled("entity_ruler")) == {"ents": ["PROBLEM"]}
    assert layers(ruled("span_ruler", spans_key="found")) == {"found": ["PROBLEM"]}
    both = ruled("span_ruler", spans_key="found", annotate_ents=True)
    assert layers(both) == {"found": ["PROBLEM"], "ents": ["PROBLEM"]}
    assert known_layers(both) == ["found"]
    both.add_pipe("any_groups")
    assert known_layers(both) is None


def test_layers_of_a_language_model_are_those_of_its_schemes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SCHEME, encoding="utf8")
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_llm", config={"layers": [str(path)]})
    assert layers(nlp) == {"mine": ["SKIN", "SIDE"]}
    facts = model_facts(nlp, Limits())
    assert facts["links"] == [{"entity": "SKIN", "modifier": "SIDE"}]
    assert facts["layers"][0]["labels"][0]["description"] == "A finding of the skin"
    assert known_layers(nlp) == ["mine"]


@pytest.mark.parametrize("shape", ["clinner", "huggingface"])
def test_a_layer_that_the_model_is_known_to_lack_is_refused_and_the_others_are_named(shape):
    app = create_app(ruled("entity_ruler"))

    async def ask(layer):
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
                asked = {"notes": [{"id": "a", "text": "A fever."}], "layers": [layer]}
                return await client.post(f"/v1/annotate?format={shape}", json=asked)

    answer = asyncio.run(ask("ents"))
    assert answer.status_code == 200
    assert '"fever"' in answer.text
    answer = asyncio.run(ask("clinical"))
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "layers: the model has only ents, *."
