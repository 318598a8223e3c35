"""The parts of a model card that say how a model was made, and what that took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spacy_clinner.evaluation.model_card.cells import NONE, UNKNOWN, Facts, link, number, table


def making(made: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The steps before and after the last training, where there are any.

    made (Sequence[Mapping[str, Any]]): As `scripts/distillation/on_gpu.py` and `scripts/average.py`
        record them, with what is known of the encoders.
    YIELDS (str): Markdown.
    """
    if not made:
        return
    rows = []
    for part in made:
        for at, step in enumerate(part["steps"]):
            read, tokens = step["what"], step.get("tokens")
            if tokens is not None:
                read += f", {number(tokens)} tokens of text"
            seconds = NONE if step.get("seconds") is None else f"{number(step['seconds'])} s"
            updates = number(step.get("updates"))
            if step.get("kept") is not None:
                updates += f", kept the model after {number(step['kept'])}"
            who = part["model"] if at else _learner(part)
            rows.append((who, read, part.get("gpu") or part.get("cpu") or "", seconds, updates))
    if any(part["model"] == "teacher" for part in made):
        yield (
            "A teacher and a student, two encoders, learn beside each other, the student at its "
            "end from what the teacher says of texts without labels, too: the probability of each "
            "tag."
        )
    yield table(("model", "learned from", "on", "time", "updates"), rows, left=3)


def _learner(part: Mapping[str, Any]) -> str:
    """Who learned, with its encoder."""
    encoder, count = part["encoder"], part.get("parameters")
    about = [part["model"]]
    if encoder:
        about += [link(encoder), encoder["licence"] or "licence not stated"]
    return ", ".join([*about, *([f"{number(count)} weights"] if count else [])])


def training(facts: Facts) -> Iterator[str]:
    """What it took, with an estimate of energy and carbon dioxide.

    facts (Mapping[str, Any]): As `card_facts` gathers them.
    YIELDS (str): Markdown.
    """
    training = facts["training"]
    if training is None:
        yield "Not recorded."
        return
    used, energy = training["hardware"], facts["statements"]["energy"]
    hours = training["seconds"] / 3600
    watts = energy["watts_per_core"] * used["cores"]
    power = f"{energy['watts_per_core']} W × {used['cores']} cores"
    if used["gpu"]:
        watts += energy["watts_per_gpu"]
        power += f" + {energy['watts_per_gpu']} W"
    kilowatt_hours = hours * watts / 1000
    spent, before = f"{hours:.2f} h × {watts} W", []
    of_gpu = [part for part in facts["made"] if part.get("gpu")]
    if of_gpu:
        # They run beside each other.
        earlier = max(part["seconds"] for part in of_gpu) / 3600
        kilowatt_hours += earlier * energy["watts_per_gpu"] / 1000
        spent += f" + {earlier:.2f} h × {energy['watts_per_gpu']} W"
        before = [("teacher and student before it", f"{of_gpu[0]['gpu']}, {earlier:.2f} h")]
    grams = kilowatt_hours * energy["grams_per_kwh"]
    last = ", last training" if facts["made"] else ""
    rows = [
        *before,
        (f"started{last}", training["started"]),
        ("processor", f"{used['cpu']}, {used['cores']} logical cores"),
        ("GPU", used["gpu"] or "none"),
        ("wall-clock time", f"{hours:.2f} h"),
        ("words read, repetitions included", _known(training.get("words"))),
        ("words per second, evaluation on dev included", _known(training.get("words_per_second"))),
        ("power, assumed", f"{power} = {watts} W: {energy['watts_note']}"),
        ("energy, estimated", f"{spent} = {kilowatt_hours:.3f} kWh"),
        ("carbon intensity, assumed", f"{energy['grams_per_kwh']} g/kWh: {energy['grams_note']}"),
        ("carbon dioxide, estimated", f"{grams:.1f} g"),
    ]
    yield table(("", ""), rows, left=2)
    yield (
        "The estimate is of this one training: neither its trials, nor pretraining or adapting "
        "the encoder, nor cooling and the making of the machine are in it."
        if not of_gpu
        else "The estimate is of the steps of this one model: neither trials, nor the pretraining "
        "of the encoders, nor the processors beside the GPU, nor cooling and the making of the "
        "machines are in it."
    )


def _known(value: float | None) -> str:
    return UNKNOWN if value is None else number(value)
