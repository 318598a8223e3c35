"""`clinner serve` with only the extras `cpu` and `serve`, for `serving.py`, which starts it."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from throughput.worker import hide_torch

    hide_torch()
    from spacy_clinner.cli import main

    main()
