"""What is judged of an entity, for formats with fewer words for it than ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONDITIONAL = ("conditional", "hypothetical")
SOMEONE_ELSE = "associated_with_someone_else"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The most careful reading of all that is said of an entity. None where nothing judged it.

    subject (str | None): "patient", "family" or "other".
    negated, uncertain, conditional, historical (bool | None): Each on its own; `conditional` is
        what is conditional or hypothetical.
    """

    subject: str | None
    negated: bool | None
    uncertain: bool | None
    conditional: bool | None
    historical: bool | None

    @property
    def judged(self) -> bool:
        """Whether it was judged that it is there or not."""
        return self.negated is not None

    @property
    def of_patient(self) -> bool:
        """Whether it is not said to be somebody else's."""
        return self.subject in (None, "patient")


def judge(entity: Mapping[str, Any]) -> Judgement:
    """Read a row of the table of entities.

    Its columns may say different things, such as `assertion` possible and `negated` true, for
    "cannot exclude": each counts.

    entity (Mapping[str, Any]): `assertion`, `negated`, `uncertain`, `hypothetical`, `historical`
        and `experiencer`.
    RETURNS (Judgement): What is judged.
    """
    assertion, subject = entity["assertion"], entity["experiencer"]
    if assertion == SOMEONE_ELSE and subject in (None, "patient"):
        subject = "other"
    return Judgement(
        subject or (None if assertion is None else "patient"),
        _either(entity["negated"], assertion, ("absent",)),
        _either(entity["uncertain"], assertion, ("possible",)),
        _either(entity["hypothetical"], assertion, CONDITIONAL),
        entity["historical"],
    )


def _either(flag: bool | None, assertion: str | None, means: tuple[str, ...]) -> bool | None:
    if flag or assertion in means:
        return True
    return flag if assertion is None else False
