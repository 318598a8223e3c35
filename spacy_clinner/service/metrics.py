"""Counts for Prometheus: how much was asked and how long it took, never what."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WORDS = (100, 300, 1_000, 2_000, 4_000, 8_000, 16_000, 64_000)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        route = ["route"]
        self.requests = Counter(
            "clinner_requests", "Requests answered.", [*route, "status"], registry=registry
        )
        self.seconds = Histogram(
            "clinner_request_seconds",
            "From a request's head to the end of its answer.",
            route,
            buckets=SECONDS,
            registry=registry,
        )
        self.notes = Counter("clinner_notes", "Notes annotated.", route, registry=registry)
        self.words = Counter("clinner_words", "Words of these notes.", route, registry=registry)
        self.batch_words = Histogram(
            "clinner_batch_words",
            "Words that were computed together.",
            buckets=WORDS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "clinner_batch_seconds",
            "Time to compute them.",
            buckets=SECONDS,
            registry=registry,
        )

    def watch_queue(self, words: Callable[[], float], notes: Callable[[], float]) -> None:
        """Tell the length of the queue, which is asked for when the metrics are.

        words (Callable[[], float]): Gives the words that wait.
        notes (Callable[[], float]): Gives the notes that wait.
        """
        registry = self.registry
        Gauge("clinner_queue_words", "Words that wait.", registry=registry).set_function(words)
        Gauge("clinner_queue_notes", "Notes that wait.", registry=registry).set_function(notes)

    def note_batch(self, words: int, seconds: float) -> None:
        """Count a batch.

        words (int): Its words.
        seconds (float): The time that it took.
        """
        self.batch_words.observe(words)
        self.batch_seconds.observe(seconds)
