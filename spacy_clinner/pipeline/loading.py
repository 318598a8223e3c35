from pathlib import Path

import spacy
from spacy.language import Language
from spacy.util import is_package

from spacy_clinner.errors import ClinnerError, one_line


def load_pipeline(model: str | Path) -> Language:
    """Load a trained pipeline.

    model (str | Path): Its folder, or the name of an installed one ("en_clinner").
    RETURNS (Language): The pipeline.
    RAISES (ClinnerError): It is missing, or cannot be loaded.
    """
    if not (Path(model) / "meta.json").is_file() and not is_package(str(model)):
        raise ClinnerError(
            f"{model}: no trained pipeline there. Train one with "
            f"`spacy project run all`, or name yours: its folder, or an installed package."
        )
    return load(model)


def load(model: str | Path) -> Language:
    """Load any pipeline.

    model (str | Path): Its folder, or the name of an installed one.
    RETURNS (Language): The pipeline.
    RAISES (ClinnerError): It cannot be loaded.
    """
    try:
        return spacy.load(str(model))
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ClinnerError(
            f"{model}: no pipeline that can be loaded ({one_line(error)})."
        ) from None
