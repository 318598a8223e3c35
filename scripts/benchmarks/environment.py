"""What all benchmarks set before torch is imported: import this first."""

from spacy_clinner.cli.environment import set_defaults

set_defaults()
