import sys

import pytest
import srsly


@pytest.fixture
def digest(scripts, tmp_path, monkeypatch):
    """What the script writes, in a folder of its own."""
    import digest_code

    from spacy_clinner.cli import run

    monkeypatch.chdir(tmp_path)

    def digest_of(*arguments):
        monkeypatch.setattr(sys, "argv", ["digest_code.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            run(digest_code.main)
        assert not done.value.code
        out = arguments[0] if arguments else "training/code.sha256"
        return (tmp_path / out).read_text(encoding="utf8")

    return digest_of


@pytest.mark.parametrize("name", ["a.py", "a.toml", "learn_on.cfg"])
def test_the_digest_of_the_code_is_that_of_its_code_and_settings(digest, tmp_path, name):
    path = tmp_path / "spacy_clinner/training" / name
    path.parent.mkdir(parents=True)
    path.write_text("1", encoding="utf8")
    before = digest()
    assert digest() == before
    path.with_suffix(".pyc").write_text("1", encoding="utf8")
    assert digest() == before
    path.write_text("2", encoding="utf8")
    assert digest() != before


def test_what_is_named_is_digested_by_its_content_be_it_a_folder_a_file_or_an_option(
    digest, tmp_path
):
    encoder, silver = tmp_path / "encoder", tmp_path / "silver.spacy"
    encoder.mkdir()
    (encoder / "model.safetensors").write_bytes(b"1")
    silver.write_bytes(b"1")
    named = ("out.sha256", "encoder", "UFNLP/gatortronS", "--silver", "silver.spacy", "--resume")
    found = {digest(*named)}
    assert len(found) == 1
    for path in (encoder / "model.safetensors", silver):
        assert digest(*named) in found
        path.write_bytes(b"2")
        found.add(digest(*named))
    assert len(found) == 3
    # An installed pipeline is known by what pip recorded of its files.
    assert digest("out.sha256", "en_core_web_none") != digest("out.sha256", "spacy-clinner")


def test_a_step_runs_anew_when_what_it_is_given_by_name_has_changed(root):
    project = srsly.read_yaml(root / "project.yml")
    deps = {command["name"]: command.get("deps", []) for command in project["commands"]}
    (code,) = (c["script"] for c in project["commands"] if c["name"] == "code")
    for step, file, named in (
        ("train", "training/encoder.sha256", "${vars.encoder} ${vars.train_options}"),
        ("learn-on", "training/base.sha256", "'${vars.base}' ${vars.train_options}"),
        ("evaluate-against", "training/base.sha256", "'${vars.base}' ${vars.train_options}"),
    ):
        assert file in deps[step]
        assert f"python scripts/digest_code.py {file} {named}" in code
    # The encoder is there before it is digested.
    for steps in project["workflows"].values():
        assert "encoder" not in steps or steps.index("encoder") < steps.index("code")
