"""The setting `pairs` of `clinner_relations`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError


def is_path(pairs: str | Mapping[str, Sequence[str]]) -> bool:
    """Whether pairs are named by a file of the user's own."""
    return isinstance(pairs, str) and pairs.endswith(".toml")


def is_elsewhere(pairs: str | Mapping[str, Sequence[str]]) -> bool:
    """Whether pairs are named by a file that is not here: a trained model needs it no more."""
    return is_path(pairs) and not Path(str(pairs)).exists()


def legal_pairs(name: str, pairs: str | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The pairs that a setting names.

    name (str): The component's name, for messages.
    pairs (str | Mapping[str, Sequence[str]]): A scheme, or the pairs.
    RETURNS (dict[str, list[str]]): By label of an entity the labels of its modifiers.
    RAISES (ClinnerError): There is no such scheme, or no pair.
    """
    found = schemes.load(pairs).pairs if isinstance(pairs, str) else pairs
    legal = {head: list(tails) for head, tails in found.items() if tails}
    if not legal:
        source = f"the scheme {pairs!r} states none" if isinstance(pairs, str) else "none given"
        raise ClinnerError(
            f"{name}: no legal pairs: {source}. Give `pairs` as a scheme with a [pairs] table "
            f'("clinical"), or as a mapping such as {{"PROBLEM": ["NEGATION"]}}.'
        )
    return legal
