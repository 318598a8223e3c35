"""One table of pipelines and language models: same notes, same scorer.

The systems are tables of a TOML file, configs/compare_llm.toml for one, which explains its keys.
"""

import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import spacy
import srsly
import typer
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_clinner import schemes
from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import spans
from spacy_clinner.evaluation.assertion import negated_end_to_end
from spacy_clinner.files import read_toml, written_whole
from spacy_clinner.llm.component import REPORT
from spacy_clinner.llm.passages import Cutter
from spacy_clinner.llm.placed_findings import annotate
from spacy_clinner.llm.placement import KINDS, Placement
from spacy_clinner.pipeline.relations.scorer import score_relations

# US dollars for a million tokens of question and of answer.
PRICES = 0.15, 0.60
COLUMNS = (
    "system",
    "strict F1",
    "relaxed F1",
    "relations F1",
    "negated F1",
    "not in the text",
    "failed",
    "words/s",
    "memory",
    "1,000 notes",
)


def main(
    corpus: Annotated[Path, typer.Argument(help="A converted corpus (.spacy)")],
    systems: Annotated[Path, typer.Option(help="The systems, a TOML file")] = Path(
        "configs/compare_llm.toml"
    ),
    out: Annotated[Path, typer.Option(help="The JSON to write; figures, no text")] = Path(
        "metrics/compare_llm.json"
    ),
    notes: Annotated[int, typer.Option(help="How many notes, the first; 0 for all")] = 0,
    length: Annotated[
        int, typer.Option(help="Cut each at a sentence end, after so many tokens; 0 for whole")
    ] = 0,
    only: Annotated[list[str] | None, typer.Option(help="A system; may be given often")] = None,
    tuned: Annotated[
        Path | None, typer.Option(help="A folder of `clinner tune`, in place of --systems")
    ] = None,
    format: Annotated[str, typer.Option(help="How that one answers")] = "json",
    view: Annotated[str, typer.Option(help="The view that the corpus gives of its layers")] = "",
    gpu_id: Annotated[int, typer.Option(help="For what is tuned; -1 for the CPU")] = -1,
    here: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Score systems on CORPUS, each in a process of its own."""
    if tuned is not None:
        one = {"tuned": str(tuned), "gpu_id": gpu_id, "settings": {"format": format, "view": view}}
        found = {tuned.name: score(one, corpus, notes, length)}
        with written_whole(out) as path:
            srsly.write_json(path, found)
        typer.echo(table(found))
        return
    tables = read_toml(systems, "no such file of systems.")
    chosen = only or list(tables)
    if unknown := [name for name in chosen if name not in tables]:
        raise ClinnerError(f"{systems}: no system {unknown[0]!r}. Known: {', '.join(tables)}.")
    if here:
        typer.echo(json.dumps(score(tables[chosen[0]], corpus, notes, length)))
        return
    found = srsly.read_json(out) if out.is_file() else {}
    for name in chosen:
        command = [sys.executable, __file__, str(corpus), "--systems", str(systems), "--here"]
        command += ["--notes", str(notes), "--length", str(length), "--only", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise ClinnerError(f"{name}: failed, as said above.")
        found[name] = json.loads(done.stdout.splitlines()[-1])
        with written_whole(out) as path:
            srsly.write_json(path, found)
    typer.echo(table({name: found[name] for name in chosen}))


def score(system: dict[str, Any], corpus: Path, notes: int, length: int) -> dict[str, Any]:
    """Run a system over the notes, and compare with gold."""
    golds = gold_docs(corpus, notes, length)
    layers = list(dict.fromkeys(layer for gold in golds for layer in gold.spans))
    with pipeline(system, layers) as nlp:
        component = next((c for _, c in nlp.components if hasattr(c, "spent")), None)
        if component is None:
            nlp(golds[0].text)
        began = time.perf_counter()
        docs = list(nlp.pipe([gold.text for gold in golds]))
        seconds = time.perf_counter() - began
    examples = [Example(doc, gold) for doc, gold in zip(docs, golds, strict=True)]
    counts: Counter[str] = Counter()
    for doc in docs:
        counts.update(doc.user_data.get(REPORT, {}).get("mentions", {}))
    named = sum(counts[kind] for kind in KINDS)
    strict = spans.strict(examples, layers)["all"]
    negated = negated_end_to_end([(e.reference, e.predicted) for e in examples], layers[0])
    spent: dict[str, int] = dict(component.spent.spent) if component is not None else {}
    return {
        "notes": len(docs),
        "words": (words := sum(len(doc.text.split()) for doc in docs)),
        "strict": strict["f"],
        "interval": strict["interval"],
        "relaxed": {layer: s["f"] for layer, s in spans.relaxed(examples, layers).items()},
        "relations": score_relations(examples)["rel_micro_f"],
        "negated": negated["PROBLEM"]["f"] if "PROBLEM" in negated else None,
        "mentions": dict(counts),
        "not_found": counts["not found"] / named if named else None,
        "failed": sum("error" in doc.user_data.get(REPORT, {}) for doc in docs),
        "words_per_second": words / seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        if "settings" not in system or "gguf" in system or "tuned" in system
        else None,
        "asked": spent.get("asked"),
        "answered": spent.get("answered"),
    }


def gold_docs(corpus: Path, notes: int, length: int) -> list[Doc]:
    """The notes with their gold, whole or their beginnings."""
    docs = read_docs(corpus, Vocab())
    docs = docs[:notes] if notes else docs
    if not docs:
        raise ClinnerError(f"{corpus}: holds no note.")
    if not length:
        return docs
    layers = [schemes.load(name) for name in dict.fromkeys(n for doc in docs for n in doc.spans)]
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    cut = []
    for doc in docs:
        passage = Cutter(length).cut(doc, layers)[0].passage
        short = nlp.make_doc(passage.text)
        gold = Placement(passage.mentions, ("exact",) * len(passage.mentions))
        annotate(short, [(0, gold)], layers, links=True, asserts=False)
        cut.append(short)
    return cut


@contextmanager
def pipeline(system: dict[str, Any], layers: Sequence[str]) -> Iterator[Language]:
    """The pipeline of a system, with what it needs running."""
    if "pipeline" in system:
        yield spacy.load(system["pipeline"])
        return
    settings = {"layers": list(layers), **system.get("settings", {})}
    if "gguf" in system:
        with serving_gguf(Path(system["gguf"]), system.get("context", 4096)) as url:
            yield asking({"base_url": url, "model": "local", **settings})
    elif "tuned" in system:
        with serving_tuned(system["tuned"], system.get("gpu_id", -1)) as url:
            yield asking({"base_url": url, "model": "local", **settings})
    else:
        yield asking(settings)


def asking(settings: dict[str, Any]) -> Language:
    """A pipeline that asks a language model."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_llm", config=settings)
    return nlp


@contextmanager
def serving_gguf(path: Path, context: int) -> Iterator[str]:
    """llama.cpp with a model, at the address that is given."""
    import xllamacpp

    if not path.is_file():
        raise ClinnerError(f"{path}: no such file. `python scripts/fetch_gemma.py` fetches Gemma.")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.port = 0
    params.verbosity = -1
    # Threads that wait for one another by spinning are slower than one, on a shared machine.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@contextmanager
def serving_tuned(model: str, gpu_id: int) -> Iterator[str]:
    """What `clinner tune` made, at the address that is given."""
    from serve_llm import make_server

    server = make_server(model, device="cpu" if gpu_id < 0 else f"cuda:{gpu_id}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown."""
    rows: list[Sequence[str]] = [COLUMNS, ["---"] * len(COLUMNS)]
    for name, one in found.items():
        relaxed = sum(one["relaxed"].values()) / len(one["relaxed"])
        asked = one["asked"]
        cost = "0"
        if asked is not None:
            million = 1000 / one["notes"] / 1e6
            dollars = million * (asked * PRICES[0] + one["answered"] * PRICES[1])
            cost = f"{(asked + one['answered']) / one['notes']:,.0f} k tokens, ${dollars:.2f}"
        rows.append(
            (
                f"`{name}`",
                f"{100 * one['strict']:.1f}",
                f"{100 * relaxed:.1f}",
                _percent(one["relations"]),
                _percent(one["negated"]),
                "none" if one["not_found"] is None else f"{100 * one['not_found']:.1f} %",
                f"{one['failed']} of {one['notes']}",
                f"{one['words_per_second']:,.1f}",
                f"{one['megabytes']:,.0f} MB" if one["megabytes"] else "the server's",
                cost,
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f}"


if __name__ == "__main__":
    run(main)
