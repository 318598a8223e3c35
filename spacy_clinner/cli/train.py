from pathlib import Path
from typing import Annotated

import typer


def command(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A config, such as configs/clinner.cfg")],
    out: Annotated[Path, typer.Argument(help="Folder that gets model-best and model-last")],
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the corpus; by default as CONFIG has it", min=0),
    ] = None,
    silver: Annotated[
        list[Path] | None,
        typer.Option(help="A further file to train on, as `clinner label` writes"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where a training was cut off")] = False,
) -> None:
    """Train a pipeline by CONFIG, as `spacy train` does, and calibrate its confidences on dev.

    Further options set values of the config: --paths.train train.spacy, --paths.dev dev.spacy,
    --variables.encoder FOLDER, --variables.learn_rate 1e-4, --system.seed 2 and so on.
    """
    import srsly

    from spacy_clinner.compat import parse_config_overrides
    from spacy_clinner.training.run import train

    facts = train(
        config,
        out,
        overrides=parse_config_overrides(context.args),
        gpu_id=gpu_id,
        epochs=epochs,
        silver=silver or (),
        resume=resume,
    )
    srsly.write_json(out / "training.json", facts)
    typer.echo(f"✔ {out}/model-best, model-last: {facts['steps']} updates")
