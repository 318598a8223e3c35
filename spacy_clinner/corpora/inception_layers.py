"""The layers of a project in INCEpTION, as it exports and imports them."""

from collections.abc import Iterable
from typing import Any

from spacy_clinner.corpora.inception import RELATION, SPAN, STRING
from spacy_clinner.corpora.suggestions import ASSERTION, ASSERTIONS, LINK, Palette


def layers(palette: Palette) -> list[dict[str, Any]]:
    """The layers of a project, for Settings, Layers, Import.

    palette (Palette): What annotators choose from.
    RETURNS (list[dict[str, Any]]): As INCEpTION exports layers.
    """
    labels = _feature("label", _tags("clinner labels", palette.labels))
    assertion = _feature(ASSERTION, _tags("clinner assertions", ASSERTIONS))
    found = [_layer(SPAN, "Clinner", "span", [labels, assertion])]
    if palette.pairs:
        link = _feature("label", _tags("clinner links", [LINK]))
        attached = {"attach_type": {"name": SPAN, "project_name": None}}
        found.append(_layer(RELATION, "Clinner link", "relation", [link]) | attached)
    return found


def _layer(name: str, shown: str, kind: str, features: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "uiName": shown,
        "type": kind,
        "features": features,
        "description": None,
        "enabled": True,
        "built_in": False,
        "readonly": False,
        "attach_type": None,
        "attach_feature": None,
        "allow_stacking": True,
        "cross_sentence": True,
        "show_hover": True,
        "anchoring_mode": "TOKENS",
        "overlap_mode": "ANY_OVERLAP",
        "validation_mode": "NEVER",
        "lock_to_token_offset": False,
        "multiple_tokens": True,
        "linked_list_behavior": False,
        "on_click_javascript_action": None,
        "traits": None,
    }


def _feature(name: str, tags: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "uiName": name,
        "type": STRING,
        "enabled": True,
        "visible": True,
        "include_in_hover": False,
        "required": False,
        "remember": False,
        "curatable": True,
        "description": None,
        "tag_set": tags,
        "multi_value_mode": "NONE",
        "link_mode": "NONE",
        "link_type_name": None,
        "link_type_role_feature_name": None,
        "link_type_target_feature_name": None,
        "traits": None,
    }


def _tags(name: str, values: Iterable[str]) -> dict[str, Any]:
    return {
        "name": name,
        "description": None,
        "language": "en",
        "create_tag": False,
        "tags": [{"tag_name": value, "tag_description": None} for value in values],
    }
