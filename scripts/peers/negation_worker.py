"""Run one negation system in a process of its own; `benchmark_negation.py` starts it.

    python negation_worker.py SYSTEM FOLDER

SYSTEM is a key of `SYSTEMS`; the Python that runs this script has it installed (the peers' Python
does not have clinner, and medspaCy's `Span._.modifiers` would clash with clinner's). Every
`FOLDER/NAME.gold.jsonl` holds rows `{"text": str, "spans": [[start, end, label, layer], ...]}`,
offsets in characters; `FOLDER/SYSTEM.NAME.jsonl` gets one row per row: a list of bool, negated or
not, one per span. `FOLDER/speed.jsonl` holds the notes to time, in the same form.

On stdout: one line with the versions as JSON once the verdicts are written. Then, per line on
stdin, one line with the seconds that the negation component took over all notes.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

GROUP = "gold"


def clinner(spans: str) -> Language:
    tokenizer = {"@tokenizers": "clinner.Tokenizer.v1"}
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": tokenizer}})
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_sections")
    nlp.add_pipe("clinner_context", config={"span_keys": [spans]})
    return nlp


def negspacy(spans: str, termset: str) -> Language:
    import_module("negspacy.negation")
    patterns = import_module("negspacy.termsets").termset(termset).get_patterns()
    config = {"neg_termset": patterns, "span_keys": None if spans == "ents" else [spans]}
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("negex", config=config)
    return nlp


def medspacy(spans: str) -> Language:
    # PyRuSH logs every token at the level DEBUG, and logs shall not hold note text.
    os.environ["LOGURU_LEVEL"] = "ERROR"
    # medspaCy imports QuickUMLS, which needs compilers to install and plays no part in ConText.
    stub: Any = ModuleType("quickumls")
    stub.spacy_component = None
    sys.modules["quickumls"] = stub
    load = import_module("medspacy").load
    nlp: Language = load(medspacy_enable=["medspacy_tokenizer", "medspacy_pyrush"])
    source = {} if spans == "ents" else {"input_span_type": "group", "span_group_name": spans}
    nlp.add_pipe("medspacy_context", config=source)
    return nlp


# System: how its pipeline is made for "ents" or a span group (its last component does the
# negation), the attribute that says negated, and the package whose version counts.
SYSTEMS: dict[str, tuple[Callable[[str], Language], str, str]] = {
    "clinner": (clinner, "negated", "spacy-clinner"),
    "negspacy_en": (lambda spans: negspacy(spans, "en"), "negex", "negspacy"),
    "negspacy_en_clinical": (lambda spans: negspacy(spans, "en_clinical"), "negex", "negspacy"),
    "medspacy": (medspacy, "is_negated", "medspacy"),
}


def read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf8") as file:
        yield from map(json.loads, file)


def prepare(nlp: Language, row: dict[str, Any]) -> tuple[Doc, list[Span]]:
    """A document before its negation component, and the row's spans in it."""
    doc = nlp.make_doc(row["text"])
    spans = []
    for start, end, label, layer in row["spans"]:
        span = doc.char_span(start, end, label, alignment_mode="expand", span_id=layer)
        if span is None:
            raise ValueError(f"the span {start}:{end} lies outside its text")
        spans.append(span)
    doc.spans[GROUP] = spans
    doc.set_ents(filter_spans(spans))
    for _, component in nlp.pipeline[:-1]:
        doc = component(doc)
    return doc, spans


def judge(nlp: Language, attribute: str, source: Path, target: Path) -> None:
    _, negation = nlp.pipeline[-1]
    with target.open("w", encoding="utf8") as file:
        for row in read(source):
            doc, spans = prepare(nlp, row)
            negation(doc)
            print(json.dumps([bool(span._.get(attribute)) for span in spans]), file=file)


def timed(negation: Callable[[Doc], Doc], docs: list[Doc]) -> float:
    # Fresh copies each time: the components store their findings in the document.
    copies = [doc.copy() for doc in docs]
    # As timeit does: a collection of this process' whole heap says nothing about a component.
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    for doc in copies:
        negation(doc)
    seconds = time.perf_counter() - started
    gc.enable()
    return seconds


def main(system: str, folder: Path) -> None:
    build, attribute, package = SYSTEMS[system]
    with redirect_stdout(sys.stderr):
        nlp = build(GROUP)
        for source in sorted(folder.glob("*.gold.jsonl")):
            name = source.name.removesuffix(".gold.jsonl")
            judge(nlp, attribute, source, folder / f"{system}.{name}.jsonl")
        on_ents = build("ents")
        docs = [prepare(on_ents, row)[0] for row in read(folder / "speed.jsonl")]
        _, negation = on_ents.pipeline[-1]
        timed(negation, docs[:2])
    versions = {name: version(name) for name in (package, "spacy")}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        with redirect_stdout(sys.stderr):
            seconds = timed(negation, docs)
        print(seconds, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
