from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_clinner.cli.progress import bar
from spacy_clinner.errors import ClinnerError


def command(
    context: typer.Context,
    config_and_out: Annotated[
        list[str],
        typer.Argument(
            metavar="[CONFIG] OUT",
            help="A config, such as configs/clinner.cfg, which --from makes optional, and the "
            "folder that gets model-best and model-last",
        ),
    ],
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the corpus; by default as CONFIG has it", min=0),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", help="A trained pipeline to go on from: its folder, or an installed one"
        ),
    ] = None,
    rehearse: Annotated[
        list[Path] | None,
        typer.Option(help="With --from: a .spacy file of old notes, to learn some of them again"),
    ] = None,
    silver: Annotated[
        list[Path] | None,
        typer.Option(help="A further file to train on, as `clinner label` writes"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where a training was cut off")] = False,
) -> None:
    """Train a pipeline by CONFIG, as `spacy train` does, and calibrate its confidences on dev.

    With --from, go on from a trained pipeline. Without CONFIG, that takes few updates, keeps what
    the notes do not annotate as it was, and needs no dev notes.

    Further options set values of the config: --paths.train train.spacy, --paths.dev dev.spacy,
    --variables.encoder FOLDER, --variables.learn_rate 1e-4, --system.seed 2 and so on.
    """
    import srsly

    config, out, overrides = read_arguments(config_and_out, context.args, start)
    check_splits(overrides)
    if config is None and (silver or resume):
        raise typer.BadParameter("--silver and --resume need CONFIG.")
    if config is not None and rehearse:
        raise typer.BadParameter("--rehearse is for --from MODEL without CONFIG.")
    of_both: dict[str, Any] = {"overrides": overrides, "gpu_id": gpu_id, "epochs": epochs}
    if config is None:
        from spacy_clinner.training.learning_on import learn_on

        facts = learn_on(str(start), out, rehearse=rehearse or (), progress=bar, **of_both)
    else:
        from spacy_clinner.training.run import train

        facts = train(config, out, silver=silver or (), resume=resume, start=start, **of_both)
    srsly.write_json(out / "training.json", facts)
    if unlinked := facts.get("learning_on", {}).get("not_linked"):
        warn_of_links(unlinked)
    typer.echo(f"✔ {out}/model-best, model-last: {facts['steps']} updates")


def warn_of_links(unlinked: Sequence[Sequence[str]]) -> None:
    """Say which links the notes have and the pipeline cannot learn."""
    told = ", ".join(f"{entity} with {modifier}" for entity, modifier in unlinked)
    typer.secho(
        f"⚠ Links of {told} were not learned: a pipeline's links are of the two layers that it was "
        f"trained with. Annotate the labels in those, or train with a CONFIG.",
        fg="yellow",
        err=True,
    )


def check_splits(overrides: dict[str, Any]) -> None:
    """Stop where notes that are learned from would choose among models, and calibrate them.

    overrides (dict[str, Any]): The values of the config that are given.
    RAISES (ClinnerError): A path of `paths.dev` is one of `paths.train`.
    """
    train, dev = (overrides.get(f"paths.{split}") or () for split in ("train", "dev"))
    train, dev = ([paths] if isinstance(paths, str) else paths for paths in (train, dev))
    learned = {Path(path).resolve() for path in train}
    if both := [path for path in dev if Path(path).resolve() in learned]:
        raise ClinnerError(
            f"--paths.dev {both[0]}: is learned from, too, by which neither the best model nor "
            f"its confidences can be told. Name other notes; with --from and without CONFIG, none."
        )


def read_arguments(
    config_and_out: Sequence[str], more: Sequence[str], start: str | None
) -> tuple[Path | None, Path, dict[str, Any]]:
    """The config, if there is one, the folder, and the values of the config that are given."""
    from spacy_clinner.compat import parse_config_overrides

    # What is no option of ours comes here, too: the values of the config.
    paths = [Path(path) for path in takewhile(lambda part: part[:2] != "--", config_and_out)]
    overrides = parse_config_overrides([*config_and_out[len(paths) :], *more])
    if len(paths) not in ((1, 2) if start else (2,)):
        raise typer.BadParameter("needs CONFIG and OUT, or OUT alone with --from MODEL.")
    *config, out = paths
    return (config[0] if config else None), out, overrides
