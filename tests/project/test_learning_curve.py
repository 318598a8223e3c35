import json

import pytest
from spacy.util import load_config

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.learning_on import CONFIG


@pytest.fixture
def script(scripts):
    import learning_curve

    return learning_curve


def cell(way, size, f, seed=1, **further):
    return {"target": "notes", "way": way, "size": size, "seed": seed, "f": f, **further}


def test_every_size_is_measured_with_every_seed_and_nothing_twice(script):
    targets = {"notes": script.read_target("notes=a.spacy,b.spacy")}
    found = list(script.cells(targets, script.WAYS, script.SIZES, script.SEEDS))
    # The model as it is once; then five sizes, three ways, three seeds.
    assert len(found) == len({c.file for c in found}) == 1 + 5 * 3 * 3
    assert len(list(script.cells(targets, script.WAYS[:2], (0, 5, 20), (1,)))) == 1 + 2 * 2


def test_a_target_has_a_pool_and_a_test_and_perhaps_a_layer(script):
    assert script.read_target("m=a,b,cases").layer == "cases"
    with pytest.raises(ClinnerError, match="needs NAME=POOL,TEST"):
        script.read_target("m=a")


def test_the_table_has_means_over_seeds_and_what_twenty_notes_are_worth(script):
    measured = [
        cell("random", 0, 0.5, kept=0.8),
        cell("random", 20, 0.54),
        cell("random", 20, 0.56, seed=2),
        cell("uncertainty", 20, 0.58, kept=0.79),
        cell("random", 100, 0.6),
        cell("uncertainty", 100, 0.6),
    ]
    told = script.table(measured)
    assert "| notes | random | 50.0 | 55.0 | 60.0 |" in told
    assert "| notes, kept | uncertainty | 80.0 | 79.0 |  |" in told
    assert "20 notes by uncertainty are worth +8.0 points, 80 % of what 100 give" in told


def test_the_plot_is_drawn_of_what_there_is(script, tmp_path):
    script.plot([cell("random", 0, 0.5), cell("random", 5, 0.6)], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_what_was_measured_is_not_measured_again(script, tmp_path, monkeypatch):
    found = {"f": 0.5, "seconds": 1.0}
    asked = []

    def measure(self, target, one):
        asked.append(one.file)
        return found

    monkeypatch.setattr(script.Bench, "measure", measure)
    for _ in range(2):
        script.main("model", tmp_path, ["notes=a,b"], sizes="0,5,20", seeds="1")
    assert len(asked) == 5
    assert len(list((tmp_path / "cells").iterdir())) == 5
    assert json.loads((tmp_path / "cells/notes-random-0-1.json").read_text())["f"] == 0.5


def test_what_was_measured_of_another_model_or_by_another_rate_is_not_told_as_this_ones(
    script, tmp_path, monkeypatch
):
    monkeypatch.setattr(script.Bench, "measure", lambda *_: {"f": 0.5, "seconds": 1.0})
    few = {"sizes": "0,5", "seeds": "1"}
    script.main("model", tmp_path, ["notes=a,b"], **few)
    told = (tmp_path / "learning-curve.md").read_text()
    for model, target, more in (
        ("other", "notes=a,b", {}),
        ("model", "notes=a,b", {"learn_rate": 1e-3}),
        ("model", "notes=a,b", {"rehearse": ["old.spacy"]}),
        ("model", "notes=a,b", {"learned_share": 1.0}),
        ("model", "notes=a,c", {}),
    ):
        with pytest.raises(ClinnerError, match=r"settings\.json: of other settings"):
            script.main(model, tmp_path, [target], **few, **more)
    assert (tmp_path / "learning-curve.md").read_text() == told
    # Another target, and a way more, go on with the same table.
    script.main("model", tmp_path, ["notes=a,b", "ncbi=c,d"], encoder="encoder", **few)
    assert "| ncbi | encoder |" in (tmp_path / "learning-curve.md").read_text()
    with pytest.raises(ClinnerError, match="of other settings: encoder"):
        script.main("model", tmp_path, ["ncbi=c,d"], encoder="another", **few)


def test_the_share_that_is_learned_is_an_option_and_among_the_settings(script):
    usual = load_config(CONFIG)["variables"]["learned_share"]
    for given, resolved, values in (
        (None, usual, {}),
        (1.0, 1.0, {"variables.learned_share": 1.0}),
    ):
        bench = script.Bench("model", None, None, [], None, -1, given)
        assert bench.settings()["learned_share"] == resolved
        assert bench.values == values


def test_cells_that_were_measured_before_settings_were_kept_are_read(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script.Bench, "measure", lambda *_: {"f": 0.5, "seconds": 1.0})
    script.main("model", tmp_path, ["notes=a,b"], sizes="0,5", seeds="1")
    (tmp_path / "settings.json").unlink()
    script.main("model", tmp_path, ["notes=a,b"], sizes="0,5", seeds="1", minutes=-1)
    assert "| notes | random | 50.0 | 50.0 |" in (tmp_path / "learning-curve.md").read_text()
    assert (tmp_path / "settings.json").is_file()
