"""The model card: facts gathered as plain data, and their rendering."""

from .facts import CardInputs, card_facts
from .markdown import render
from .meta import package_meta, write_meta
from .probes import Finding, Outcome, read_probes, run_probes

__all__ = [
    "CardInputs",
    "Finding",
    "Outcome",
    "card_facts",
    "package_meta",
    "read_probes",
    "render",
    "run_probes",
    "write_meta",
]
