"""What runs workers over pieces: a module for each engine, and here a line."""

from collections.abc import Callable, Iterable, Iterator

from spacy_clinner.tables.engines.local import run_local
from spacy_clinner.tables.engines.on_ray import run_on_ray
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.worker import Job, Result

# Gets pieces that can be pickled and read again, the job, and what to run it on; gives the results
# in the order of the pieces.
Engine = Callable[[Iterable[Piece], Job, Power], Iterator[Result]]
ENGINES: dict[str, Engine] = {"local": run_local, "ray": run_on_ray}
