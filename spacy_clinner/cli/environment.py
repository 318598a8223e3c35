"""What an environment should say before torch is imported. Standard library only."""

import os

DEFAULTS = {
    # Only fetching an encoder uses the network.
    "HF_HUB_OFFLINE": "1",
    # Threads that wait by spinning make training three times slower beside any other process.
    "OMP_WAIT_POLICY": "passive",
    # oneDNN keeps a thousand kernels, one for each shape that it met: of batches of ever new
    # shapes, ten gigabytes.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
}


def set_defaults() -> None:
    """Set what the user did not."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
