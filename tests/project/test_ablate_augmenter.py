import json

import pytest
from spacy.tokens import DocBin, Span
from spacy.util import load_config
from tiny_encoders import biomedbert

from spacy_clinner.errors import ClinnerError


@pytest.fixture
def script(scripts):
    import ablate_augmenter

    return ablate_augmenter


@pytest.fixture
def settings(script):
    return {"start": "encoder", "from": False, "corpus": "corpus/notes", "updates": 120,
            "words": 1000, "learn_rate": 3e-4, "level": 1.0, "seed": 1}  # fmt: skip


def counts(script, right):
    return {copy: [[right, 10, 10], [right, 10, 10]] for copy in script.COPIES}


def test_each_part_is_on_alone_and_off_alone_after_what_is_compared_with(script):
    found = script.cells()
    assert list(found)[:2] == ["none", "all"]
    assert len(found) == 2 + 2 * len(script.PARTS)
    assert found["only drugs"] == ["drugs"]
    assert set(found["all"]) - set(found["all but drugs"]) == {"drugs"}


def test_the_parts_are_all_rates_of_the_config(script, settings):
    rates = dict(load_config("configs/clinner.cfg")["corpora"]["train"]["augmenter"])
    off = script.overrides(settings, [])
    assert {f"{script.RATES}.{rate}" for rate in rates} - off.keys() == {
        f"{script.RATES}.{other}" for other in ("@augmenters", "level", "seed")
    }
    assert off["variables.augmentation"] == 0
    on = script.overrides(settings, list(script.PARTS))
    assert on["variables.augmentation"] == 1
    assert not [key for key in on if key.startswith(script.RATES)]


def test_a_trained_pipeline_keeps_its_encoder(script, settings):
    assert script.overrides(settings, [])["variables.encoder"] == "encoder"
    assert "variables.encoder" not in script.overrides(settings | {"from": True}, [])


def test_dev_is_written_otherwise_with_all_its_gold_and_the_same_each_time(script, nlp):
    doc = nlp("Patient denies shortness of breath.\nNo chest pain.")
    doc.spans["clinical"] = [doc.char_span(15, 34, label="PROBLEM")]
    for copy, rates in script.COPIES.items():
        (first,) = script.written_otherwise(nlp, [doc], rates)
        (again,) = script.written_otherwise(nlp, [doc], rates)
        assert first.text == again.text
        assert len(first.spans["clinical"]) == 1
        assert (first.text == doc.text) == (copy == "as it is")


def test_what_was_measured_is_not_measured_again_and_the_table_tells_what_it_gave(
    script, settings, tmp_path, capsys
):
    (tmp_path / "cells").mkdir()
    for name in script.cells():
        found = {"name": name, "settings": settings, "counts": counts(script, 5 + (name == "all"))}
        (tmp_path / "cells" / f"{name.replace(' ', '-')}.json").write_text(json.dumps(found))
    script.main("encoder", tmp_path)
    told = (tmp_path / "augmenter.md").read_text(encoding="utf8")
    assert "| none | 50.0 | 50.0 |" in told
    assert "| all | 60.0 (+10.0*) | 60.0 (+10.0*) |" in told
    assert "| only drugs | 50.0 (+0.0) |" in told
    assert "0 trainings are left" in capsys.readouterr().out
    with pytest.raises(ClinnerError, match="of other settings"):
        script.main("encoder", tmp_path, seed=2)


def test_no_training_begins_when_the_time_is_over(script, tmp_path, capsys):
    script.main("encoder", tmp_path, minutes=-1)
    assert f"{len(script.cells())} trainings are left" in capsys.readouterr().out


@pytest.mark.long
def test_a_training_becomes_a_cell_with_the_scores_of_each_copy(
    script, nlp, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    docs = [nlp.make_doc(text) for text in ("Denies chest pain.\nWell.", "Has a bad cough.")]
    for doc in docs:
        doc.spans["clinical"] = [Span(doc, 2, 3, label="PROBLEM")]
    for name in ("train", "dev"):
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{name}.spacy")
    encoder = biomedbert(tmp_path / "encoder")
    script.main(str(encoder), tmp_path / "out", corpus=tmp_path, updates=2, minutes=0.001)
    cell = script.read(tmp_path / "out/cells/none.json")
    assert list(cell["counts"]) == list(script.COPIES)
    assert all(len(counts) == 2 for counts in cell["counts"].values())
    assert "| none |" in (tmp_path / "out/augmenter.md").read_text(encoding="utf8")
