"""The same facts where spaCy looks for them: in the meta of a package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import srsly

from spacy_clinner.evaluation.model_card.markdown import licence
from spacy_clinner.files import written_whole


def package_meta(facts: Mapping[str, Any], card: str) -> dict[str, Any]:
    """What a package says about itself.

    facts (Mapping[str, Any]): The facts.
    card (str): The card.
    RETURNS (dict[str, Any]): Values of `meta.json`, by the keys that spaCy knows.
    """
    said = facts["statements"]["package"]
    encoder = facts["encoder"]
    teachers = [part["encoder"] for part in facts["made"] if part["encoder"]]
    others = [other for other in teachers if other["name"] != encoder["name"]]
    used = [*facts["sources"], *facts["unlabelled"], encoder, *others]
    return {
        "description": said["description"],
        "author": said["author"],
        "license": licence(facts),
        "sources": [
            {"name": entry["name"], "url": entry["url"], "license": entry["licence"]}
            for entry in used
        ],
        "notes": card,
        "performance": performance(facts["metrics"]),
    }


def performance(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Scores as spaCy's packages state them.

    metrics (Mapping[str, Any]): What `evaluate` measured.
    RETURNS (dict[str, Any]): Strict `<layer>_p`, `_r`, `_f` and `_per_type` for each layer,
        its calibration error, and the links' `rel_p`, `rel_r`, `rel_f`, end to end.
    """
    found: dict[str, Any] = {}
    for layer, score in metrics["strict"].items():
        found |= {f"{layer}_{key}": score[key] for key in ("p", "r", "f")}
        if layer != "all":
            found[f"{layer}_per_type"] = {
                label: {key: s[key] for key in ("p", "r", "f")}
                for label, s in score.get("per_type", {}).items()
            }
    for layer, error in metrics.get("calibration_error", {}).items():
        found[f"{layer}_calibration_error"] = error
    links = (metrics.get("relations") or {}).get("end_to_end", {})
    found |= {f"rel_{key}": links[key] for key in ("p", "r", "f") if key in links}
    return found


def write_meta(model: Path, values: Mapping[str, Any]) -> None:
    """Put values into the meta of a pipeline; the keys that it does not name stay.

    model (Path): The pipeline's folder.
    values (Mapping[str, Any]): What to set.
    """
    meta = srsly.read_json(model / "meta.json")
    with written_whole(model / "meta.json") as path:
        srsly.write_json(path, meta | dict(values))
