"""The formats: how a model is asked, and how it answers. One module each."""

from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.prompts.entity_lines import LINES
from spacy_clinner.llm.prompts.json_list import JSON
from spacy_clinner.llm.prompts.kiwi import KIWI
from spacy_clinner.llm.prompts.prompt_format import PromptFormat

FORMATS = {one.name: one for one in (KIWI, LINES, JSON)}


def find_format(name: str) -> PromptFormat:
    """The format of a name.

    name (str): "kiwi", "lines" or "json".
    RETURNS (PromptFormat): The format.
    RAISES (ClinnerError): There is none of that name.
    """
    if name not in FORMATS:
        raise ClinnerError(f"unknown format {name!r}. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]
