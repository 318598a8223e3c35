"""A model card in Markdown. Every number in it comes from the facts."""

from collections.abc import Iterator, Mapping
from typing import Any

from spacy_clinner.evaluation.model_card.cells import (
    NONE,
    UNKNOWN,
    Facts,
    bullets,
    link,
    number,
    percent,
    table,
)
from spacy_clinner.evaluation.model_card.making import making, training


def render(facts: Facts) -> str:
    """Write a card.

    facts (Mapping[str, Any]): As `card_facts` gathers them.
    RETURNS (str): Markdown.
    """
    said = facts["statements"]
    sections = {
        "What it is": _overview(facts),
        "What it is for": bullets(said["use"]["intended"]),
        "What it must not be used for": bullets(said["use"]["forbidden"]),
        "Labels": _labels(facts["layers"]),
        "What it learned from": _data(facts),
        "How it was made": making(facts["made"]),
        "Scores": _scores(facts),
        "Speed": _speed(facts),
        "Known failures": _failures(facts),
        "Training, hardware and carbon": training(facts),
    }
    parts = [
        f"# {facts['name']} {facts['version']}: model card",
        said["package"]["description"],
        "Written by `scripts/model_card.py` from what was measured; not to be edited.",
    ]
    for title, blocks in sections.items():
        if written := list(blocks):
            parts += [f"## {title}", *written]
    return "\n\n".join(parts) + "\n"


def _prf(score: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(percent(score.get(key)) for key in ("p", "r", "f"))


def licence(facts: Facts) -> str:
    """The licence of a model: this project's, and that of the encoder that its weights are from."""
    own = facts["statements"]["package"]["licence"]
    return " AND ".join(dict.fromkeys(filter(None, (own, facts["encoder"]["licence"]))))


def _overview(facts: Facts) -> Iterator[str]:
    encoder, architecture = facts["encoder"], facts["architecture"]
    parameters = architecture["parameters"]
    shape = ", ".join(f"{key} {value}" for key, value in architecture["encoder"].items())
    versions = (facts["training"] or {}).get("versions", {})
    edition = f"CPU edition, {facts['precision']}" if facts["precision"] else "for torch"
    components = ", ".join(f"`{n}` ({factory})" for n, factory in facts["components"].items())
    settings = facts["settings"]
    last = ", last training" if facts["made"] else ""
    rows = [
        ("version", facts["version"]),
        ("edition", edition),
        ("components", components),
        (
            "layers",
            ", ".join(f"`{layer}`: {len(x)} labels" for layer, x in facts["layers"].items()),
        ),
        ("encoder", f"{link(encoder)}, {encoder['licence'] or 'licence not stated'}"),
        ("encoder's shape", shape or UNKNOWN),
        ("parameters", _parameters(parameters)),
        ("licence", licence(facts)),
        (f"trained with{last}", ", ".join(f"{n} {v}" for n, v in versions.items()) or UNKNOWN),
        (f"seed{last}", str(settings.get("seed", UNKNOWN))),
        (f"updates{last}", _updates(facts)),
        (f"settings{last}", ", ".join(f"{k} = {v}" for k, v in settings.items()) or UNKNOWN),
    ]
    yield table(("", ""), rows, left=2)
    yield facts["statements"]["package"]["licence_note"]


def _parameters(parameters: Mapping[str, int]) -> str:
    if not parameters:
        return UNKNOWN
    of_each = ", ".join(f"{name} {number(count)}" for name, count in parameters.items())
    return f"{number(sum(parameters.values()))} ({of_each})"


def _updates(facts: Facts) -> str:
    done = (facts["training"] or {}).get("steps")
    planned = facts["settings"].get("max_steps")
    counts = (("done at the last count", done), ("planned", planned))
    return ", ".join(f"{number(n)} {what}" for what, n in counts if n is not None) or UNKNOWN


def _labels(layers: Mapping[str, Any]) -> Iterator[str]:
    for layer, labels in layers.items():
        rows = [
            (f"`{label}`", entry["description"], entry["semantic_group"])
            for label, entry in labels.items()
        ]
        yield f"### {layer}"
        yield table(("label", "meaning", "UMLS semantic group"), rows, left=3)


def _data(facts: Facts) -> Iterator[str]:
    columns = ("corpus", "what", "layers", "licence", "cite", "train", "dev", "test", "test spans")
    rows = []
    for entry in facts["sources"]:
        documents = (number(entry["documents"][split]) for split in ("train", "dev", "test"))
        text = (link(entry), entry["what"], ", ".join(entry["layers"]))
        legal = (entry["licence"] or "not stated", entry["citation"])
        rows.append((*text, *legal, *documents, number(entry["spans"]["test"])))
    yield "Documents by part; the test parts were not trained or tuned on."
    yield table(columns, rows, left=5)
    if facts["unlabelled"]:
        yield "Unlabelled text, for the encoder or for learning from a model's own labels:"
        texts = [(link(e), e["what"], e["licence"] or "not stated") for e in facts["unlabelled"]]
        yield table(("text", "what", "licence"), texts, left=3)
    if facts["losses"]:
        lost = [(reason, number(count)) for reason, count in facts["losses"].items()]
        yield f"What of {number(facts['gold_spans'])} gold spans was not kept exactly:"
        yield table(("reason", "count"), lost)


def _kinds(kinds: Mapping[str, Any]) -> Iterator[str]:
    """Strict scores by kind of text; a model is as good as it is on notes like the reader's."""
    if not kinds:
        return
    rows = []
    for kind, metrics in kinds.items():
        strict, negated = metrics["strict"], metrics.get("negated_end_to_end") or {}
        by_label = negated.get("clinical", {})
        for layer, score in strict.items():
            if layer == "all" and len(strict) < 3:
                continue
            cells = (number(score.get("gold")), *_prf(score))
            problems = by_label.get("PROBLEM", {}).get("f") if layer == "clinical" else None
            rows.append((kind, number(metrics.get("notes")), layer, *cells, percent(problems)))
    yield "### By kind of text"
    yield (
        "Strict scores in percent; the last column is the F1 of negated PROBLEMs, end to end: "
        "found exactly, and found to be negated."
    )
    columns = ("text", "documents", "layer", "gold", "P", "R", "F1", "negated")
    yield table(columns, rows, left=3)


def _scores(facts: Facts) -> Iterator[str]:
    yield from _kinds(facts["kinds"])
    metrics, base = facts["metrics"], facts["base_metrics"]
    yield (
        f"On {number(metrics.get('notes'))} test documents, in percent. Strict: offsets and label "
        "exactly right. Relaxed: the label is right and the spans overlap. Each layer is scored on "
        "the documents that annotate it; ECE is the expected calibration error of the confidence."
    )
    columns = ["layer", "test corpus", "gold", "P", "R", "F1", "relaxed F1", "ECE"]
    columns += ["F1 before quantisation"] if base else []
    rows = []
    for layer, score in metrics["strict"].items():
        relaxed = metrics.get("relaxed", {}).get(layer, {}).get("f")
        error = metrics.get("calibration_error", {}).get(layer)
        tested = ", ".join(e["name"] for e in facts["sources"] if layer in e["layers"])
        row = [layer, tested, number(score.get("gold")), *_prf(score)]
        row += [percent(relaxed), percent(error)]
        row += [percent(base["strict"].get(layer, {}).get("f"))] if base else []
        rows.append(row)
    yield table(columns, rows, left=2)
    for layer, score in metrics["strict"].items():
        if layer != "all" and score.get("per_type"):
            yield f"### {layer}, by label"
            labels = [(f"`{n}`", number(s["gold"]), *_prf(s)) for n, s in score["per_type"].items()]
            yield table(("label", "gold", "P", "R", "F1"), labels)
    yield from _assertions(metrics.get("assertion") or {})
    yield from _negated(metrics.get("negated_end_to_end") or {})
    yield from _relations(metrics.get("relations") or {})


def _assertions(assertion: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (layer, attribute, name, number(s["gold"]), *_prf(s))
        for layer, by_attribute in assertion.items()
        for attribute, by_class in by_attribute.items()
        for name, s in by_class.items()
        if s["gold"]
    ]
    if rows:
        yield "### Negation and other assertions"
        yield "Of the entities that were found exactly:"
        yield table(("layer", "attribute", "value", "gold", "P", "R", "F1"), rows, left=3)


def _negated(negated: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (layer, f"`{label}`", number(s["gold"]), *_prf(s))
        for layer, by_label in negated.items()
        for label, s in by_label.items()
        if s["gold"]
    ]
    if rows:
        yield "Negated entities end to end: offsets, label and negation must all be right."
        yield table(("layer", "label", "gold", "P", "R", "F1"), rows, left=2)


def _relations(relations: Mapping[str, Any]) -> Iterator[str]:
    if not relations:
        return
    end, given = relations["end_to_end"], relations["gold_spans"]
    pairs = end.get("per_pair", {})
    rows = [
        (name, number(s.get("gold")), *_prf(s), percent(on_gold.get("f")))
        for name, s, on_gold in (
            ("all", end, given),
            *((pair, s, given.get("per_pair", {}).get(pair, {})) for pair, s in pairs.items()),
        )
    ]
    yield "### Modifiers linked to entities"
    yield "End to end, both spans and the link must be right; the last column gives the gold spans."
    yield table(("pair", "gold", "P", "R", "F1", "F1 on gold spans"), rows)


def _speed(facts: Facts) -> Iterator[str]:
    benchmark = facts["benchmark"] or {}
    names = facts["statements"]["systems"]
    rows = []
    for name, row in benchmark.get("speed", {}).items():
        speed = row.get("words_per_second")
        low, high = None, None
        if isinstance(speed, Mapping):
            low, high, speed = speed.get("low"), speed.get("high"), speed.get("median")
        between = NONE if low is None or high is None else f"{number(low)} to {number(high)}"
        title = row.get("title") or names.get(name, name)
        rows.append((title, number(speed), between, _megabytes(row.get("peak"))))
    if not rows:
        yield "Not recorded."
        return
    machine = benchmark.get("machine", {})
    cores = f"{machine['cores']} logical cores" if "cores" in machine else ""
    yield f"Text in, entities out, on {', '.join(filter(None, (machine.get('cpu'), cores)))}:"
    yield table(("system", "words per second, median", "range", "peak memory, MB"), rows)
    yield from bullets(benchmark.get("remarks", ()))


def _megabytes(size: float | None) -> str:
    return NONE if size is None else number(size / 1e6)


def _failures(facts: Facts) -> Iterator[str]:
    limits = facts["statements"]["use"]["limits"]
    yield from bullets([*limits, *_weakest(facts["metrics"]["strict"])])
    probes = facts["probes"]
    if not probes:
        return
    right = sum(probe["is_right"] for probe in probes)
    yield (
        f"Sentences written to be hard, put to this model when the card was made; all is right in "
        f"{right} of {len(probes)}:"
    )
    rows = [
        (
            p["topic"],
            p["layer"],
            p["text"],
            ", ".join(p["right"]) or "nothing",
            "the same" if p["is_right"] else ", ".join(p["found"]) or "nothing",
        )
        for p in sorted(probes, key=lambda probe: bool(probe["is_right"]))
    ]
    yield table(("what is hard", "layer", "sentence", "right", "the model"), rows, left=5)


def _weakest(strict: Mapping[str, Any]) -> Iterator[str]:
    """Of each layer, how much is missed or wrong, and the label with the lowest F1."""
    for layer, score in strict.items():
        labels = {n: s for n, s in score.get("per_type", {}).items() if s.get("gold")}
        if layer == "all" or not labels:
            continue
        worst = min(labels, key=lambda name: labels[name]["f"])
        yield (
            f"By the strict rule `{layer}` misses {percent(1 - score['r'])} % of the gold mentions "
            f"of its test set, and {percent(1 - score['p'])} % of what it finds is wrong; its "
            f"weakest label is `{worst}` with an F1 of {percent(labels[worst]['f'])} "
            f"({number(labels[worst]['gold'])} gold)."
        )
