"""The pipeline of a run: which it is, and how it is loaded to read many notes."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy import util
from spacy.language import Language
from thinc.api import require_gpu

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.pipeline import loading

# spaCy's limit is one of memory for these, which hold what they compute of a whole document.
NEEDS_MEMORY = {"parser", "ner", "beam_parser", "beam_ner"}
LONGEST_NOTE = 100_000_000


@dataclass(frozen=True)
class Model:
    """A pipeline on disk.

    name (str), version (str): As its meta.json has them, the name with its language.
    sha256 (str): Of all its files.
    torch_free (bool): Whether it computes nothing by torch.
    """

    name: str
    version: str
    sha256: str
    torch_free: bool


def describe(model: str) -> Model:
    """Find a pipeline, without loading it.

    model (str): An installed pipeline, or its folder.
    RETURNS (Model): What it is.
    RAISES (ClinnerError): There is none.
    """
    folder = find(model)
    try:
        meta = util.get_model_meta(folder)
        config = util.load_config(folder / "config.cfg")
    except (OSError, ValueError) as error:
        raise ClinnerError(f"{model}: no pipeline that can be read ({one_line(error)}).") from None
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    written = str(config.get("components", {}))
    torch_free = "TransformerModel" not in written and "curated_transformer" not in written
    name = "_".join(filter(None, (meta["lang"], meta["name"])))
    return Model(name, meta["version"], digest.hexdigest(), torch_free)


def load(model: str, threads: int = 0, gpu_id: int = -1) -> Language:
    """Load a pipeline to read many notes.

    model (str): An installed pipeline, or its folder.
    threads (int): Threads of what computes the encoder; 0 for one on each core.
    gpu_id (int): The GPU; -1 for the CPU.
    RETURNS (Language): The pipeline. Notes may be as long as its memory allows.
    RAISES (ClinnerError): It cannot be loaded, or there is no such GPU.
    """
    try:
        if gpu_id >= 0:
            require_gpu(gpu_id)
    # CuPy's own errors share no base class but this.
    except Exception as error:
        raise ClinnerError(
            f"gpu_id is {gpu_id}, but no GPU can be used ({one_line(error)})."
        ) from None
    nlp = loading.load(model)
    factories = {nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    if not factories & NEEDS_MEMORY:
        nlp.max_length = LONGEST_NOTE
    if threads:
        for name in nlp.pipe_names:
            if nlp.get_pipe_meta(name).factory == "clinner_cpu_encoder":
                # Its session starts with the first note.
                encoder: Any = nlp.get_pipe(name)
                encoder.threads = threads
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
    return nlp


def find(model: str) -> Path:
    """Find the folder of a pipeline.

    model (str): An installed pipeline, or its folder.
    RETURNS (Path): The folder.
    RAISES (ClinnerError): There is none.
    """
    if (Path(model) / "meta.json").is_file():
        return Path(model)
    if util.is_package(model):
        package = util.get_package_path(model)
        meta = util.get_model_meta(package)
        return package / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    raise ClinnerError(f"{model}: no such pipeline, neither installed nor a folder.")
