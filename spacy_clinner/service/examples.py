"""Notes to try the service with, of the sample corpus; all invented."""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "notes"
TITLES = {
    "dc-summary-nstemi": "Discharge summary, heart attack",
    "soap-diabetes-clinic": "Clinic note, diabetes",
    "medrec-admission-pharmacist": "Medication list, admission",
    "cxr-portable-icu-lines": "X-ray report, intensive care",
    "family-hx-screening-nurse-form": "Family history, nurse's form",
}


@cache
def examples() -> list[dict[str, str]]:
    """RETURNS (list[dict[str, str]]): Five notes: "id", "title" and "text" of each."""
    return [
        {"id": name, "title": title, "text": (FOLDER / f"{name}.txt").read_text(encoding="utf8")}
        for name, title in TITLES.items()
    ]
