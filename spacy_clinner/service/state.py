"""What the routes of the service share."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language

from spacy_clinner.annotation.spans import ALL, ENTS
from spacy_clinner.pipeline.layer_roles import known_layers
from spacy_clinner.service.limits import Limits
from spacy_clinner.service.metrics import Metrics
from spacy_clinner.service.microbatches import MicroBatches
from spacy_clinner.service.model_facts import model_facts


@dataclass
class Service:
    """What the routes need, as `app.state.service`.

    nlp (Language): The pipeline.
    limits (Limits): What callers may ask.
    metrics (Metrics): What is counted.
    batches (MicroBatches): Computes the notes.
    api_key (str | None): What callers must send; None for nothing.
    draining (asyncio.Event): Set when the process is to end.
    facts (dict[str, Any]): What `/v1/model` says.
    """

    nlp: Language
    limits: Limits
    metrics: Metrics
    batches: MicroBatches
    api_key: str | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    facts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.facts = model_facts(self.nlp, self.limits)

    @property
    def layers(self) -> list[str] | None:
        """The layers that may be asked for; None where the model may have any."""
        known = known_layers(self.nlp)
        return None if known is None else [*known, ENTS, ALL]
