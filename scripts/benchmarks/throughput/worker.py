"""Run one system in a process of its own; `benchmark.py` starts it.

    python worker.py SYSTEM

SYSTEM is the JSON of `processes.System`. On stdout, one line of JSON each: an empty object once
the system is loaded, what it runs on once it has read a first short note, and then a reply for
every request on stdin. A request names a JSON file, a list of texts, and says whether to read them
in a memory zone; the reply holds the seconds for all of them, the entities and how many of them
are negated, and the process' resident memory in bytes, now and at its peak.

Nothing but the standard library is imported before the clock of the loading time runs.
"""

import gc
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

Counts = tuple[int, int]
Task = Callable[[], Counts]

FIRST_NOTE = "Denies chest pain. Started on aspirin 81 mg daily."
# What a user of the CPU edition need not install. Thinc imports torch wherever it finds it.
NOT_INSTALLED = ("torch", "transformers", "spacy-transformers", "spacy_transformers")


class Absent:
    """Finds no module of those that are as good as not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if name.partition(".")[0] in NOT_INSTALLED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide_torch() -> None:
    """Have this process behave as where only `spacy-clinner[cpu]` is installed."""
    sys.meta_path.insert(0, Absent())
    # Nor may spaCy find their entry points.
    installed = list(importlib.metadata.distributions())
    kept = [one for one in installed if one.metadata["Name"].lower() not in NOT_INSTALLED]
    importlib.metadata.distributions = lambda **_: kept


class HuggingFace:
    """The token-classification pipeline of `transformers`."""

    def __init__(self, system: dict[str, Any]) -> None:
        import transformers

        build: Any = transformers
        self.batch_size = system["batch_size"]
        self.pipeline = build.pipeline(
            "token-classification",
            model=system["path"],
            tokenizer=system["path"],
            aggregation_strategy="simple",
            device="cpu",
        )

    def prepare(self, texts: list[str], zone: bool) -> Task:  # noqa: ARG002
        return partial(self.read, texts)

    def read(self, texts: list[str]) -> Counts:
        found = self.pipeline(texts, batch_size=self.batch_size)
        return sum(map(len, found)), 0


class SpaCy:
    """A spaCy pipeline."""

    def __init__(self, system: dict[str, Any]) -> None:
        import spacy

        self.nlp = spacy.load(system["path"])
        self.negates = "clinner_context" in self.nlp.pipe_factories.values()
        for name, factory in self.nlp.pipe_factories.items():
            if factory == "clinner_cpu_encoder":
                encoder: Any = self.nlp.get_pipe(name)
                encoder.threads = system["threads"]

    def prepare(self, texts: list[str], zone: bool) -> Task:
        # A note of 100,000 words may have more characters than spaCy takes unasked.
        self.nlp.max_length = max(self.nlp.max_length, *map(len, texts))
        return partial(self.read, texts, zone)

    def read(self, texts: list[str], zone: bool) -> Counts:
        entities = negated = 0
        with self.nlp.memory_zone() if zone else nullcontext():
            for doc in self.nlp.pipe(texts):
                found = [(e.text, e.label_, self.negates and e._.negated) for e in doc.ents]
                entities += len(found)
                negated += sum(negation for _, _, negation in found)
            del doc  # its strings end with the zone
        return entities, negated


class BareSession:
    """The runtime of a CPU edition alone, over the batches that its encoder would make."""

    def __init__(self, system: dict[str, Any]) -> None:
        import spacy

        components = spacy.util.load_config(Path(system["path"]) / "config.cfg")["components"]
        factories = {name: component["factory"] for name, component in components.items()}
        others = [name for name in factories if factories[name] != "clinner_cpu_encoder"]
        self.nlp = spacy.load(system["path"], exclude=others)
        encoder: Any = self.nlp.get_pipe(self.nlp.pipe_names[0])
        self.encoder = encoder
        self.encoder.threads = system["threads"]
        self.session = self.encoder.session

    def prepare(self, texts: list[str], zone: bool) -> Task:  # noqa: ARG002
        return partial(self.compute, [(batch.ids, batch.mask) for batch in self.batches(texts)])

    def batches(self, texts: Iterable[str]) -> Iterator[Any]:
        import spacy

        from spacy_clinner.cpu.encoder import WINDOWS_AT_ONCE
        from spacy_clinner.tokenization.wordpieces import Window, cut_windows

        minibatch: Any = spacy.util.minibatch
        for docs in minibatch(map(self.nlp.make_doc, texts), self.nlp.batch_size):
            windows: list[Window] = []
            row = 0
            for doc, spans in zip(docs, self.encoder.get_spans(docs), strict=True):
                windows += cut_windows(doc, spans, row)
                row += len(doc)
            for start in range(0, len(windows), WINDOWS_AT_ONCE):
                yield from self.encoder.batches(windows[start : start + WINDOWS_AT_ONCE])

    def compute(self, batches: Sequence[tuple[Any, Any]]) -> Counts:
        run, submit = self.session.run, self.session.submit
        for task in [submit(partial(run, ids, mask, _nothing)) for ids, mask in batches]:
            task.result()
        return 0, 0


def _nothing(vectors: Any) -> Any:
    return vectors[:0]


KINDS: dict[str, Any] = {"huggingface": HuggingFace, "spacy": SpaCy, "bare": BareSession}


def memory() -> dict[str, int]:
    """Resident memory of this process in bytes, now and at its peak."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not `ru_maxrss`: on Linux that starts with the size of the process that started this one.
        lines = (line.split() for line in status.read_text(encoding="utf8").splitlines())
        sizes = {line[0]: 1024 * int(line[1]) for line in lines if line[0] in ("VmRSS:", "VmHWM:")}
        return {"resident": sizes["VmRSS:"], "peak": sizes["VmHWM:"]}
    import os
    import resource
    import subprocess

    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    # macOS counts in bytes here, the BSDs in kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"resident": 1024 * int(shown.stdout), "peak": peak}


def answer(reader: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Read the texts of a request, and say how it went."""
    texts = json.loads(Path(request["texts"]).read_text(encoding="utf8"))
    task = reader.prepare(texts, request["zone"])
    if not request["zone"]:
        # What was left by the task before is not this one's to clear.
        gc.collect()
    started = time.perf_counter()
    entities, negated = task()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "entities": entities, "negated": negated, **memory()}


def main(system: dict[str, Any]) -> None:
    replies = sys.stdout

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=replies, flush=True)

    with redirect_stdout(sys.stderr):
        if system["without_torch"]:
            hide_torch()
        reader = KINDS[system["kind"]](system)
        say({})
        reader.prepare([FIRST_NOTE], False)()
        torch = sys.modules.get("torch")
        say({"torch_threads": torch.get_num_threads() if torch else None})
        for line in sys.stdin:
            say(answer(reader, json.loads(line)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
