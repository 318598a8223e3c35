import subprocess
import sys

import pytest

RELEASED = "en_clinner_cpu"


@pytest.fixture
def scripts(root, monkeypatch):
    """Lets a test import the scripts by their names."""
    monkeypatch.syspath_prepend(str(root / "scripts"))


@pytest.fixture(scope="session")
def wheel(request):
    """The released model's wheel."""
    (wheel,) = (request.config.rootpath / "packages").glob(f"{RELEASED}-*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, for the module search path."""
    folder = tmp_path_factory.mktemp("installed")
    command = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]
    subprocess.run([sys.executable, *command, str(folder), str(wheel)], check=True)
    return folder
