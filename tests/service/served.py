"""`clinner serve` with components that are slow or fail, for the tests: run as a script."""

import logging
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    # As where only the extras `cpu` and `serve` are installed: importing torch takes seconds.
    sys.path.insert(0, str(Path(__file__).parents[2] / "scripts/benchmarks"))
    from throughput.worker import hide_torch

    hide_torch()

from spacy.language import Language

from spacy_clinner.annotation import store
from spacy_clinner.cli import main
from spacy_clinner.errors import ClinnerError


@Language.component("slow_or_failing")
def slow_or_failing(doc):
    for word in doc:
        if word.text == "slowly":
            time.sleep(0.5)
        if word.text == "spent":
            # As of a component that asks a server.
            logging.getLogger("httpx").info("asked about %s", doc.text)
            raise ClinnerError("The budget is spent.")
        if word.text == "breaks":
            raise RuntimeError(f"cannot read {doc.text}")
        if word.text == "spoils" and doc.ents:
            store.set_values(doc.ents[0], negation_cue=(doc.text, doc.text))
    return doc


if __name__ == "__main__":
    sys.argv[0] = "clinner"
    main()
