"""Requests made of the OpenAPI document, as it says and otherwise, and answers checked against
it."""

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi.checks import negative_data_rejection  # noqa: E402

MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def operations(server):
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return [result.ok() for result in document.get_all_operations()]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_answers_are_as_the_document_says_whatever_is_sent(operations, mode):
    for operation in operations:
        # Of bodies that are lines, no requests can be made.
        if operation.path == "/v1/annotate/stream":
            continue
        sends = operation.body or operation.query
        if not sends and mode is MODES[1]:
            continue

        @given(case=operation.as_strategy(mode))
        @settings(
            max_examples=20 if sends else 1,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        def check(case):
            answer = case.call()
            # Too large is refused by a status that the check does not count as a refusal.
            known = [negative_data_rejection] if answer.status_code == 413 else []
            case.validate_response(answer, excluded_checks=known)

        check()


def test_the_document_names_every_path_of_the_api(operations):
    assert {operation.path for operation in operations} == {
        "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/examples", "/v1/annotate",
        "/v1/annotate/stream",
    }  # fmt: skip


def test_the_document_asks_for_a_key_where_there_is_one(limited, api):
    with_key = limited.get("/openapi.json").json()
    without = api.get("/openapi.json").json()
    assert with_key["paths"]["/v1/annotate"]["post"]["security"] == [{"key": []}]
    assert "security" not in with_key["paths"]["/readyz"]["get"]
    assert "security" not in without["paths"]["/v1/annotate"]["post"]
