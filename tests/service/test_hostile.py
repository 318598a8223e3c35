"""Bodies that mean no good: nothing but refusals, and the service goes on."""

import asyncio
import sys
from pathlib import Path

import pytest
from servers import notes

COUNT = 400
BENCHMARKS = Path(__file__).parents[2] / "scripts/benchmarks"


@pytest.fixture(scope="module")
def calling():
    sys.path.insert(0, str(BENCHMARKS))
    import calling.callers
    import calling.hostile

    yield calling
    sys.path.remove(str(BENCHMARKS))


def survived(calling, server, count):
    """The statuses of hostile bodies."""
    port = int(server.url.rpartition(":")[2])
    bodies = calling.hostile.hostile_bodies(count)
    found = asyncio.run(calling.callers.call(port, bodies, 8))
    assert len(found.seconds) == count
    with server.client() as client:
        assert client.post("/v1/annotate", json=notes("No fever.")).status_code == 200
    return found.statuses


def test_hostile_bodies_are_refused_and_the_service_goes_on(calling, server):
    statuses = survived(calling, server, COUNT)
    assert set(statuses) <= {200, 400, 413, 422, 503, 504}
    assert min(statuses[200], statuses[400], statuses[422]) > 10
    assert "Traceback" not in server.logged()


@pytest.mark.long
def test_ten_thousand_hostile_bodies_break_nothing_of_the_released_model(calling, full):
    assert set(survived(calling, full, 10_000)) <= {200, 400, 413, 422, 503, 504}
