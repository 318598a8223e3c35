from pathlib import Path

import spacy
from spacy.language import Language

from spacy_clinner.errors import ClinnerError, one_line


def load_pipeline(model: Path) -> Language:
    """Load a trained pipeline.

    model (Path): Its folder.
    RETURNS (Language): The pipeline.
    RAISES (ClinnerError): It is missing, or cannot be loaded.
    """
    if not (model / "meta.json").is_file():
        raise ClinnerError(
            f"{model}: no trained pipeline there. Train one with "
            f"`spacy project run all`, or name yours."
        )
    try:
        return spacy.load(model)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ClinnerError(
            f"{model}: no pipeline that can be loaded ({one_line(error)}). Train it again."
        ) from None
