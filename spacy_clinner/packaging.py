"""Build the distributions of a trained pipeline, without the network."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import srsly
from packaging.version import InvalidVersion, Version
from spacy.language import Language
from spacy.util import load_config
from thinc.api import Config

import spacy_clinner
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.pipeline.ner.learned import LearnedLayers
from spacy_clinner.pipeline.vocabulary import without_texts

PARTS = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# The architecture whose weights can be stored in half precision.
TRANSFORMER = "clinner.TransformerModel.v1"
NAME = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")


def package(
    model: Path,
    out: Path,
    *,
    name: str,
    version: str,
    layers: Sequence[str] = (),
    half: bool = False,
) -> list[Path]:
    """Build sdist and wheel of a pipeline, and from a source checkout those of this library, too.

    model (Path): The trained pipeline. Words of texts that its vocabulary may hold are left out,
        and so are the paths of its training.
    out (Path): Folder that gets the distributions.
    name (str): The package's name, without the language.
    version (str): Its version.
    layers (Sequence[str]): The layers that the package has; () for all. What others needed is
        left out: they only helped in training.
    half (bool): Store the encoder's weights in half precision (fp16), in half the size.
    RETURNS (list[Path]): What was built.
    RAISES (ClinnerError): There is no trained pipeline, it lacks a layer or has no weights to
        halve, name or version are none, or building failed.
    """
    if not (model / "meta.json").is_file():
        raise ClinnerError(f"{model}: no trained pipeline there. Train one with `clinner train`.")
    nlp = load_pipeline(model)
    check_name(name, version, nlp.meta["lang"])
    if layers:
        keep_layers(nlp, layers)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        clean, source = Path(scratch) / "model", Path(scratch) / "source"
        shutil.copytree(model, clean)
        shutil.rmtree(clean / "vocab", ignore_errors=True)
        without_texts(nlp).vocab.to_disk(clean / "vocab")
        if layers:
            _save_learned(nlp, clean)
        leave_out_paths(nlp, clean)
        if half:
            store_in_half(clean)
        source.mkdir()
        _write_sources(clean, source, name, version)
        built = build(next(source.iterdir()), out)
    checkout = Path(spacy_clinner.__file__).parents[1]
    if (checkout / "setup.cfg").is_file():
        with _copied(checkout) as copy:
            built += build(copy, out)
    return built


def check_name(name: str, version: str, lang: str) -> None:
    """Stop before a package is built that pip would not take.

    name (str), version (str): As for `package`.
    lang (str): The language of the pipeline.
    RAISES (ClinnerError): One of them is not what it must be.
    """
    if name.startswith(f"{lang}_"):
        raise ClinnerError(
            f"--name {name}: spaCy puts the language before it. Give it without the language: "
            f"{name.removeprefix(f'{lang}_')}."
        )
    if not NAME.fullmatch(name):
        raise ClinnerError(
            f"--name {name}: needs letters (a to z), figures and single underscores between them, "
            f"as in heart_clinic."
        )
    try:
        Version(version)
    except InvalidVersion:
        raise ClinnerError(
            f"--version {version}: needs figures with points between them, as in 1.0.0 or 1.0.0rc1."
        ) from None


def leave_out_paths(nlp: Language, folder: Path) -> None:
    """Take out of a saved pipeline where its notes and its encoder lay when it was trained.

    nlp (Language): The pipeline.
    folder (Path): The same, saved. Its config is changed, and its encoder where that names a
        folder.
    """
    config = load_config(folder / "config.cfg")
    config["paths"] = dict.fromkeys(config.get("paths", {}))
    variables = config.get("variables", {})
    if "schemes" in variables:
        variables["schemes"] = []
    if isinstance(variables.get("encoder"), str):
        variables["encoder"] = _without_folder(variables["encoder"])
    # They read the corpus, and the checkpoint, of the training.
    config["initialize"] |= {"before_init": None, "after_init": None}
    for name in _transformers(config):
        settings = config["components"][name]["model"]
        settings["name"] = _without_folder(settings["name"])
        component: Any = nlp.get_pipe(name)
        attrs = component.model.attrs
        if attrs.get("name") != (kept := _without_folder(attrs.get("name", ""))):
            attrs["name"] = kept
            component.to_disk(folder / name, exclude=["vocab"])
    config.to_disk(folder / "config.cfg")


def _without_folder(encoder: str) -> str:
    """The name of an encoder: on the hub, where it has an owner and a name, or of its folder."""
    path = Path(encoder)
    is_folder = path.is_absolute() or path.is_dir() or len(path.parts) > 2
    return path.name if is_folder else encoder


def _transformers(config: Config) -> list[str]:
    """The names of the components that are encoders of `TRANSFORMER`."""
    return [
        name
        for name, section in config["components"].items()
        if section.get("model", {}).get("@architectures") == TRANSFORMER
    ]


def _write_sources(model: Path, source: Path, name: str, version: str) -> None:
    """Write the source tree of a package, by spaCy's command."""
    from spacy.cli.package import package as spacy_package

    # spaCy would build in an isolated environment, which fetches setuptools; we do not.
    spacy_package(
        model,
        source,
        name=name,
        version=version,
        create_sdist=False,
        create_wheel=False,
        force=True,
    )


def keep_layers(nlp: Language, layers: Sequence[str]) -> None:
    """Take all layers but some out of a pipeline.

    nlp (Language): The pipeline.
    layers (Sequence[str]): The layers that stay.
    RAISES (ClinnerError): It has no layers, or lacks one of these.
    """
    learned = _with_layers(nlp)
    known = [layer for component in learned.values() for layer in component.layer_labels]
    if unknown := [layer for layer in layers if layer not in known]:
        raise ClinnerError(
            f"the pipeline has no layer {unknown[0]!r}; it has {', '.join(known) or 'none'}."
        )
    for component in learned.values():
        component.keep_layers([name for name in layers if name in component.layer_labels])


def _save_learned(nlp: Language, folder: Path) -> None:
    """Write what a choice of layers changes; what else is in the folder stays as it is."""
    for name, component in _with_layers(nlp).items():
        component.to_disk(folder / name, exclude=["vocab"])
    nlp.config.to_disk(folder / "config.cfg")
    srsly.write_json(folder / "meta.json", nlp.meta)


def _with_layers(nlp: Language) -> dict[str, LearnedLayers]:
    return {name: c for name, c in nlp.components if isinstance(c, LearnedLayers)}


def store_in_half(model: Path) -> None:
    """Store the weights of a pipeline's encoder in half precision.

    model (Path): The pipeline, changed in place.
    RAISES (ClinnerError): It has no encoder of `clinner.TransformerModel.v1`.
    """
    config = load_config(model / "config.cfg")
    names = _transformers(config)
    if not names:
        raise ClinnerError(
            f"{model}: half precision is for encoders of {TRANSFORMER}, and there is none."
        )
    for name in names:
        config["components"][name]["model"]["stored_in"] = "fp16"
    config.to_disk(model / "config.cfg")
    nlp = load_pipeline(model)
    for name in names:
        component: Any = nlp.get_pipe(name)
        component.to_disk(model / name, exclude=["vocab"])


def build(source: Path, out: Path) -> list[Path]:
    """Build sdist and wheel of a source tree into a folder, both or none.

    source (Path): The source tree.
    out (Path): The folder.
    RETURNS (list[Path]): What was built.
    RAISES (ClinnerError): Building failed.
    """
    with tempfile.TemporaryDirectory(dir=out) as made:
        command = ["-m", "build", "--sdist", "--wheel", "--no-isolation", "--outdir", made]
        done = subprocess.run(
            [sys.executable, *command, str(source)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClinnerError(
                f"building {source.name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return [built.replace(out / built.name) for built in sorted(Path(made).iterdir())]


@contextmanager
def _copied(checkout: Path) -> Iterator[Path]:
    """A copy of our own sources: setuptools leaves build/ and egg-info in the source tree."""
    with tempfile.TemporaryDirectory() as scratch:
        for part in PARTS:
            shutil.copy(checkout / part, scratch)
        shutil.copytree(
            checkout / "spacy_clinner",
            Path(scratch) / "spacy_clinner",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        yield Path(scratch)
