"""`clinner_abbreviations`: what the short forms in entities stand for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.annotation import extensions, store
from spacy_clinner.annotation.spans import ALL, select
from spacy_clinner.pipeline.abbreviations.definitions import find_definitions
from spacy_clinner.pipeline.abbreviations.expand import Expander
from spacy_clinner.pipeline.abbreviations.short_forms import make_inventory
from spacy_clinner.pipeline.settings import RuleComponent, Setting, check_names


class ClinicalAbbreviations(RuleComponent):
    """Short forms in entities, written out: "HTN" is "hypertension", "acute CHF exacerbation" is
    "acute congestive heart failure exacerbation".

    A note's own definitions, "long form (LF)" or "LF (long form)", are found by the method of
    Schwartz and Hearst (2003), and hold for all of the note. Besides, the short forms of
    `short_forms.toml` beside this file are known; one of several meanings is written out only where
    the note defines it. Sets `Span._.expansion`.
    """

    factory = "clinner_abbreviations"
    nlp: Language
    span_keys = Setting[list[str]]()
    short_forms = Setting[dict[str, list[str]]]()

    def __init__(
        self,
        nlp: Language | None,
        name: str = "clinner_abbreviations",
        *,
        span_keys: Sequence[str] = (ALL,),
        short_forms: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        """Make the component.

        nlp (Language | None): The pipeline, whose config has these settings.
        name (str): The component's name in the pipeline.
        span_keys (Sequence[str]): Whose spans get `._.expansion`: "ents" for `doc.ents`, any other
            name for `doc.spans[name]`, "*" for all. Groups that a document lacks are skipped.
        short_forms (Mapping[str, str | Sequence[str]] | None): Short forms of the user's own, each
            with its long form, several where it is not clear, or none to take it out. In lower
            case they are read in any case, else as they are written.
        RAISES (ClinnerError): A short form with white space, or an empty long form.
        """
        own = {
            short: [long] if isinstance(long, str) else list(long)
            for short, long in (short_forms or {}).items()
        }
        super().__init__(nlp, name, {"span_keys": list(span_keys), "short_forms": own})

    def use(self, settings: dict[str, Any]) -> None:
        """Read the short forms; see `Configured.use`."""
        check_names(self.name, settings, "span_keys")
        self._inventory = make_inventory(settings["short_forms"], self.name)

    def __call__(self, doc: Doc) -> Doc:
        """Write out the short forms of every span.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        self.refresh()
        spans = select(doc, self.settings["span_keys"])
        if not spans:
            return doc
        text = doc.text
        definitions = find_definitions(text, self._inventory.long_forms)
        expander = Expander(text, definitions, self._inventory)
        found = []
        for span in spans:
            expansion = expander.expand(span.start_char, span.end_char)
            if expansion is not None or store.values(span).get("expansion") is not None:
                found.append((span, {"expansion": expansion}))
        if found:
            store.write(doc, found)
        return doc


@Language.factory(
    "clinner_abbreviations",
    assigns=["span._.expansion"],
    default_config={"span_keys": [ALL], "short_forms": {}, "prefix": ""},
)
def create_abbreviations(
    nlp: Language,
    name: str,
    span_keys: list[str],
    short_forms: dict[str, str | list[str]],
    prefix: str,
) -> Callable[[Doc], Doc]:
    """Make the `clinner_abbreviations` component; `ClinicalAbbreviations` explains the settings,
    and `extensions.register` the prefix."""
    extensions.register(extensions.ABBREVIATIONS, prefix)
    return ClinicalAbbreviations(nlp, name, span_keys=span_keys, short_forms=short_forms)
