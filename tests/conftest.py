import os
import sys
from pathlib import Path

import pytest
import spacy
from hypothesis import settings
from spacy.language import Language

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Before torch is imported: threads that wait by spinning take the other worker's core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# OpenVINO that a test imports by itself sends no usage data either, nor forks the process for it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "assets"
CORPORA = (
    "bc5cdr",
    "biored",
    "chia",
    "drugprot",
    "lct",
    "maccrobat",
    "medmentions",
    "medmentions-zs",
    "mtsamples",
    "multicardioner-en",
    "multiclinner-en",
    "ncbi-disease",
    "negex",
    "umls",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run what takes many minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = pytest.mark.skip(reason="takes minutes: python -m pytest --long")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(left_out)
    # The long ones first, so that the other worker has something to do meanwhile.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    missing = [name for name in CORPORA if not (ASSETS / name).is_dir()]
    if missing:
        absent = pytest.mark.skip(reason=f"assets/ lacks {', '.join(missing)}")
        for item in items:
            if item.get_closest_marker("corpora"):
                item.add_marker(absent)


@pytest.fixture
def assets() -> Path:
    """The folder of the real corpora; tests that use it are marked `corpora`."""
    return ASSETS


@pytest.fixture
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture
def nlp() -> Language:
    """A blank pipeline with the clinical tokenizer."""
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})


@pytest.fixture(scope="session", autouse=True)
def extensions() -> None:
    """Tests read and set values without the component that would register them."""
    from spacy_clinner.annotation.extensions import register

    register()
