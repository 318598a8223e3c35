"""How fast a pipeline is on this machine, and how much memory it takes."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark measured.

    notes (int), words (int): What each turn read; words are between spaces.
    load_seconds (float): From nothing to a loaded pipeline, in a process that has spaCy.
    first_seconds (float): For the first note, which sets up the encoder.
    words_per_second (list[float]): Of each turn.
    peak_megabytes (float): The most memory that the process had.
    """

    notes: int
    words: int
    load_seconds: float
    first_seconds: float
    words_per_second: list[float]
    peak_megabytes: float

    @property
    def speed(self) -> float:
        """The median of the turns, in words per second."""
        return median(self.words_per_second)


def benchmark(
    model: str, texts: Sequence[str], *, turns: int = 3, progress: Progress = quiet
) -> Benchmark:
    """Measure how fast a pipeline reads notes.

    model (str): An installed pipeline, or its folder.
    texts (Sequence[str]): The notes.
    turns (int): How often to read them all, after a first time that does not count.
    progress (Progress): Shows how far it is.
    RETURNS (Benchmark): Time and memory.
    RAISES (ClinnerError): There is no such pipeline, or no text.
    """
    words = sum(len(text.split()) for text in texts)
    if not words:
        raise ClinnerError(
            "there is no note to read. Give a folder with .txt files, or a .spacy or CSV file."
        )
    started = time.perf_counter()
    nlp = load_pipeline(model)
    loaded = time.perf_counter()
    nlp(texts[0])
    first = time.perf_counter()
    speeds = []
    for turn in progress(range(turns + 1), "Reading", turns + 1):
        began = time.perf_counter()
        for _ in nlp.pipe(texts):
            pass
        if turn:
            speeds.append(words / (time.perf_counter() - began))
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return Benchmark(len(texts), words, loaded - started, first - loaded, speeds, peak)
