import importlib
import zipfile
from contextlib import contextmanager

import pytest
import spacy


@contextmanager
def running(*arguments, **options):
    """See `servers.running`; tests where the extra is missing are skipped there."""
    with importlib.import_module("servers").running(*arguments, **options) as server:
        yield server


@pytest.fixture(scope="session")
def rules(tmp_path_factory):
    """A pipeline of rules, which starts quickly, with a component that is slow or fails."""
    importlib.import_module("served")
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    ruler = nlp.add_pipe("entity_ruler")
    words = {"PROBLEM": ("fever", "cough", "chest pain"), "DRUG": ("aspirin",)}
    ruler.add_patterns([{"label": k, "pattern": word} for k in words for word in words[k]])
    for name in ("clinner_sentences", "clinner_sections", "clinner_context", "slow_or_failing"):
        nlp.add_pipe(name)
    nlp.meta["name"], nlp.meta["version"] = "rules", "1.2"
    path = tmp_path_factory.mktemp("rules") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="session")
def released(request, tmp_path_factory):
    """A folder with the released model's package."""
    pytest.importorskip("openvino")
    (wheel,) = (request.config.rootpath / "packages").glob("en_clinner_cpu-*.whl")
    folder = tmp_path_factory.mktemp("released")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return next(folder.glob("en_clinner_cpu/en_clinner_cpu-*"))


@pytest.fixture(scope="session")
def server(rules, tmp_path_factory):
    """A service of rules with the default limits."""
    with running(tmp_path_factory.mktemp("server"), rules) as server:
        yield server


@pytest.fixture(scope="session")
def api(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def small(rules, tmp_path_factory):
    """A service with small limits, a key, and an origin that may call it."""
    options = ("--max-body", 2000, "--max-note", 100, "--max-notes", 3, "--queue", 20,
               "--timeout", 1.2, "--batch", 1, "--cors", "https://ours.example")  # fmt: skip
    folder = tmp_path_factory.mktemp("small")
    with running(folder, rules, *options, env={"CLINNER_API_KEY": "secret"}) as server:
        yield server


@pytest.fixture(scope="session")
def limited(small):
    with small.client(headers={"Authorization": "Bearer secret"}) as client:
        yield client


@pytest.fixture(scope="session")
def full(released, tmp_path_factory):
    """A service of the released model."""
    with running(tmp_path_factory.mktemp("full"), released) as server:
        yield server
