"""Ray Data: actors that load the model once, on this machine or a cluster."""

import logging
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.worker import Job, Result, Worker

# An actor that asked for all cores would leave none to the task that reads, and the run would wait
# for ever without a word.
CPU_OF_READING = 0.1
CPU_OF_ACTOR = 0.9


class Actor:
    """A worker as Ray Data calls it: pieces and results are pickled, one in a row. What cannot be
    done is a result, too: of an actor that fails, Ray tells no more than that it died.

    job (Job): What is asked.
    threads (int): Threads for the encoder.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self.job = job
        self.threads = threads
        self.worker: Worker | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        """Annotate the pieces of a block."""
        pieces = (pickle.loads(data) for data in block["pickled"].to_pylist())
        return as_block(pickle.dumps(self._result(piece)) for piece in pieces)

    def _result(self, piece: Piece) -> Result | ClinnerError:
        try:
            if self.worker is None:
                self.worker = Worker(self.job, self.threads)
            return self.worker(piece)
        except ClinnerError as error:
            return error


def run_on_ray(pieces: Iterable[Piece], job: Job, power: Power) -> Iterator[Result]:
    """Annotate pieces by Ray Data.

    pieces (Iterable[Piece]): The pieces; a task of Ray reads them, on a machine that sees them.
    job (Job): What is asked. The model is installed, or its folder is there, on every machine.
    power (Power): How many actors, with how many threads, and the address of the cluster.
    YIELDS (Result): In the order of the pieces.
    RAISES (ClinnerError): Ray is not installed, or a task or actor failed.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError:
        raise ClinnerError(
            "The engine ray needs Ray Data, which is not installed. Install it with: "
            'pip install "spacy-clinner[ray]"'
        ) from None
    started = not ray.is_initialized()
    if started:
        _start(power.address)
    try:
        yield from _results(pieces, job, power)
    except RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, ClinnerError):
            raise cause from None
        raise ClinnerError(
            f"Ray: {type(error).__name__}. The command goes on where it was; its logs say more."
        ) from None
    finally:
        if started:
            ray.shutdown()


def _start(address: str | None) -> None:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    # Ray raises bare exceptions, too.
    except Exception as error:
        where = f"the cluster {address} cannot be reached" if address else "it cannot be started"
        raise ClinnerError(f"Ray: {where} ({one_line(error)}).") from None


def _results(pieces: Iterable[Piece], job: Job, power: Power) -> Iterator[Result]:
    from ray import data

    threads = power.threads or 1
    actors = _actors(power, job.gpu_id >= 0, threads)
    context: Any = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    # It takes the memory of a task that loads spaCy for a fault.
    context.issue_detectors_config.detectors = []
    # A row stands alone in its block, so that every actor gets the next one.
    context.target_max_block_size = 1
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    found = data.read_datasource(
        source_of(pieces), override_num_blocks=1, num_cpus=CPU_OF_READING
    ).map_batches(
        Actor,
        fn_constructor_args=(job, threads),
        batch_format="pyarrow",
        batch_size=1,
        num_cpus=CPU_OF_ACTOR * threads,
        num_gpus=1 if job.gpu_id >= 0 else None,
        compute=data.ActorPoolStrategy(size=actors),
    )
    for row in found.iter_rows():
        result = pickle.loads(row["pickled"])
        if isinstance(result, ClinnerError):
            raise result
        yield result


def _actors(power: Power, gpu: bool, threads: int) -> int:
    """RETURNS (int): How many actors the machines have room for."""
    import ray

    there: dict[str, float] = ray.cluster_resources()
    room = int((there.get("CPU", 0) - CPU_OF_READING) / (CPU_OF_ACTOR * threads))
    if gpu:
        room = min(room, int(there.get("GPU", 0)))
    wanted = power.processes or max(1, room)
    if wanted > room:
        raise ClinnerError(
            f"Ray has room for {room} actors of {threads} threads{' and a GPU' if gpu else ''}, "
            f"and {wanted} are asked for: they would be waited for without end. Ask for fewer "
            f"(--processes, --threads), or add machines."
        )
    return wanted


def source_of(pieces: Iterable[Piece]) -> Any:
    """Pieces as Ray Data reads them: by one task that hands each over when it is cut.

    pieces (Iterable[Piece]): They can be pickled.
    RETURNS (ray.data.Datasource): A row for each.
    """
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class PieceSource(Datasource):
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ARG002
            def read() -> Iterator[pa.Table]:
                for piece in pieces:
                    yield as_block([pickle.dumps(piece)])

            return [ReadTask(read, BlockMetadata(None, None, None))]

    return PieceSource()


def as_block(rows: Iterable[bytes]) -> pa.Table:
    """RETURNS (pa.Table): A row of bytes for each."""
    return pa.table({"pickled": pa.array(list(rows), pa.large_binary())})
