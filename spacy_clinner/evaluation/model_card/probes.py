"""Sentences that show what a model gets wrong, run when its card is made."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_clinner.annotation.said import assertion
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml

PROBES = Path(__file__).with_name("probes.toml")
FLAGS = ("negated", "uncertain", "hypothetical", "historical")
MARKS = (*FLAGS, "conditional", "family", "other")
FINDING = re.compile(r"(?P<label>\S+) (?P<words>.+?)(?: \((?P<marks>[a-z, ]+)\))?")


@dataclass(frozen=True)
class Finding:
    """An entity as a probe states it: label, words, and what is said about it (of MARKS)."""

    label: str
    words: str
    marks: frozenset[str] = frozenset()

    def __str__(self) -> str:
        marks = ", ".join(mark for mark in MARKS if mark in self.marks)
        return f"{self.label} {self.words}" + (f" ({marks})" if marks else "")


@dataclass(frozen=True)
class Probe:
    """A sentence and what is right about it.

    topic (str): What is hard about it.
    layer (str): The layer that is asked.
    text (str): The sentence.
    right (tuple[Finding, ...]): All entities of that layer, in order.
    """

    topic: str
    layer: str
    text: str
    right: tuple[Finding, ...]


@dataclass(frozen=True)
class Outcome:
    """What a model found in a probe, as the card shows it."""

    topic: str
    layer: str
    text: str
    right: tuple[str, ...]
    found: tuple[str, ...]
    is_right: bool


def read_probes(path: Path = PROBES) -> list[Probe]:
    """Read a file of probes.

    path (Path): A TOML file, laid out as `probes.toml` explains at its top.
    RETURNS (list[Probe]): The probes.
    RAISES (ClinnerError): The file is missing or not valid, or a right answer is not written as
        it must be, has an unknown mark, or is not in the text.
    """
    probes = []
    for entry in read_toml(path, "no such file of probes.").get("probes", []):
        text = entry["text"]
        right = tuple(_parse(path, text, written) for written in entry["right"])
        probes.append(Probe(entry["topic"], entry.get("layer", "clinical"), text, right))
    return probes


def _parse(path: Path, text: str, written: str) -> Finding:
    match = FINDING.fullmatch(written)
    if match is None or match["words"] not in text:
        raise ClinnerError(f"{path}: {written!r} must be a label, a space, and words of {text!r}.")
    marks = frozenset(match["marks"].split(", ") if match["marks"] else ())
    if unknown := marks - set(MARKS):
        raise ClinnerError(
            f"{path}: {written!r} has the unknown mark {min(unknown)!r}. Known: {', '.join(MARKS)}."
        )
    return Finding(match["label"], match["words"], marks)


def run_probes(nlp: Language, probes: Sequence[Probe], layers: Iterable[str]) -> list[Outcome]:
    """Ask a pipeline.

    nlp (Language): The pipeline.
    probes (Sequence[Probe]): The probes.
    layers (Iterable[str]): The layers that the pipeline has; probes of others are left out.
    RETURNS (list[Outcome]): In the order of the probes.
    """
    known = set(layers)
    asked = [probe for probe in probes if probe.layer in known]
    docs = nlp.pipe(probe.text for probe in asked)
    return [_judge(doc, probe) for doc, probe in zip(docs, asked, strict=True)]


def _judge(doc: Doc, probe: Probe) -> Outcome:
    # spaCy's own `ner` has entities, but no layers.
    spans = doc.spans.get(probe.layer, doc.ents)
    found = [Finding(span.label_, span.text, _marks(span)) for span in spans]
    return Outcome(
        probe.topic,
        probe.layer,
        probe.text,
        tuple(map(str, probe.right)),
        tuple(map(str, found)),
        sorted(map(str, found)) == sorted(map(str, probe.right)),
    )


def _marks(span: Span) -> frozenset[str]:
    said = assertion(span)
    marks = {flag for flag in FLAGS if getattr(said, flag)}
    if said.assertion == "conditional":
        marks.add("conditional")
    if said.experiencer not in (None, "patient"):
        marks.add(said.experiencer)
    return frozenset(marks)
