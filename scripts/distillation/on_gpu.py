"""What runs on the machine with the GPU: `teach` and `learn`, two processes beside each other.

Needs torch, transformers and NumPy. All that it reads was written by `distil.py prepare`.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent.parent))
from distillation import arrays
from distillation.learning import Special, Tagger, Windows
from distillation.training import adapt, drawer, label, learn, logits

Plan = dict[str, Any]


def windows(data: Path, name: str, plan: Plan, which: str, device: torch.device) -> Windows:
    """Read the windows of a file, with the numbers of an encoder's pieces."""
    known = np.array(plan[which]["renumber"], dtype=np.int64)
    return Windows(arrays.load(data / f"{name}.npz"), known, device)


def tagger(plan: Plan, which: str, folder: str, device: torch.device, layers: Any = None) -> Tagger:
    """A new tagger over an encoder."""
    labels = {k: v for k, v in plan["labels"].items() if layers is None or k in layers}
    return Tagger(folder, labels, Special(**plan[which]["special"])).to(device)


def gold(data: Path, plan: Plan, which: str, device: torch.device) -> dict[str, Windows]:
    """The annotated corpora."""
    return {name: windows(data, name, plan, which, device) for name in plan["gold"]}


def everything(found: Windows) -> Any:
    """All windows that have a token."""
    return np.flatnonzero(found.n_tokens > 0)


def teach(data: Path, folder: str, out: Path, device: torch.device) -> None:
    """Adapt the teacher, teach it by gold, let it label the texts and score held-out documents."""
    began = time.monotonic()
    plan = json.loads((data / "plan.json").read_text())
    settings = plan["teacher"]
    model = tagger(plan, "teacher", folder, device)
    texts = {name: windows(data, name, plan, "teacher", device) for name in plan["texts"]}
    continues = np.array(settings["continues"])
    updates = adapt(model, texts["notes"], continues, seconds=settings["adapt_seconds"],
                    rate=settings["adapt_rate"], size=settings["size"])  # fmt: skip
    steps = [step("masked words", settings["adapt_seconds"], updates, texts["notes"])]
    corpora = gold(data, plan, "teacher", device)
    sources = [(w, everything(w), plan["gold"][name]) for name, w in corpora.items()]
    updates = learn(model, drawer(sources, settings["size"]), seconds=settings["seconds"],
                    rate=settings["rate"], name="teacher")  # fmt: skip
    steps.append(step(learned_from(plan), settings["seconds"], updates))
    for name, found in texts.items():
        started = time.monotonic()
        soft = label(model, found, plan["texts"][name])
        torch.save(soft, out / f"{name}.pt.new")
        (out / f"{name}.pt.new").rename(out / f"{name}.pt")
        print(f"labelled {name}", flush=True)
        steps.append(step(f"labels for {name}", time.monotonic() - started, None, found))
    write_scores(model, data, plan, "teacher", out / "teacher-scores.npz", device)
    write_facts(out, "teacher", plan, model, steps, time.monotonic() - began)


def learned_from(plan: Plan) -> str:
    """What the annotated corpora are: some may be there as others would have typed them, too."""
    return "gold, augmented copies of it" if any("*" in name for name in plan["files"]) else "gold"


def step(what: str, seconds: float, updates: int | None, read: Windows | None = None) -> Plan:
    """A step of learning, as the model's card tells of it."""
    tokens = None if read is None else int(read.token_end[-1])
    return {"what": what, "seconds": round(seconds, 1), "updates": updates, "tokens": tokens}


def write_facts(
    out: Path, which: str, plan: Plan, model: Tagger, steps: list[Plan], seconds: float
) -> None:
    """What the model's card tells of teacher or student: who, where, how long."""
    facts = {
        "model": which,
        "encoder": plan[which].get("encoder"),
        "parameters": sum(weights.numel() for weights in model.encoder.parameters()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "seconds": round(seconds, 1),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "steps": steps,
    }
    (out / f"{which}.json").write_text(json.dumps(facts), encoding="utf8")


def write_scores(
    model: Tagger, data: Path, plan: Plan, which: str, path: Path, device: torch.device
) -> None:
    """Scores of the documents to evaluate by, of the layers that they annotate."""
    found = {}
    for name in plan["evaluate"]:
        held = windows(data, name, plan, which, device)
        layers = [layer for layer in held.tags if layer in model.labels]
        for layer, scores in logits(model, held, layers).items():
            found[f"{name} {layer}"] = scores
    np.savez_compressed(path, **found)  # type: ignore[arg-type]


def folds(data: Path, plan: Plan, encoder: str, out: Path, device: torch.device) -> None:
    """Score each fifth of some corpora by a model that learned from the other four."""
    settings = plan["folds"]
    corpora = {name: windows(data, name, plan, "student", device) for name in settings["corpora"]}
    rest = {name: windows(data, name, plan, "student", device) for name in settings["beside"]}
    found: dict[str, Any] = {}
    for k in range(settings["count"]):
        model = tagger(plan, "student", encoder, device, settings["layers"])
        sources = [
            (
                w,
                np.flatnonzero((w.n_tokens > 0) & (w.doc % settings["count"] != k)),
                w.n_tokens.sum(),
            )
            for w in corpora.values()
        ]
        sources += [(w, everything(w), w.n_tokens.sum()) for w in rest.values()]
        learn(model, drawer(sources, plan["student"]["size"]), seconds=settings["seconds"],
              rate=plan["student"]["rate"], name=f"fold {k}")  # fmt: skip
        for name, w in corpora.items():
            for layer, scores in logits(model, w, settings["layers"]).items():
                whole = found.setdefault(f"{name} {layer}", np.zeros_like(scores))
                tokens = np.repeat(w.doc % settings["count"] == k, w.n_tokens)
                whole[tokens] = scores[tokens]
    np.savez_compressed(out / "folds.npz", **found)


def learn_from(data: Path, folder: str, out: Path, device: torch.device) -> None:
    """Adapt the student, judge the gold by folds, and learn from gold and the teacher's labels."""
    began = time.monotonic()
    plan = json.loads((data / "plan.json").read_text())
    settings = plan["student"]
    model = tagger(plan, "student", folder, device)
    texts = {name: windows(data, name, plan, "student", device) for name in plan["texts"]}
    continues = np.array(settings["continues"])
    updates = adapt(model, texts["notes"], continues, seconds=settings["adapt_seconds"],
                    rate=settings["adapt_rate"], size=2 * settings["size"])  # fmt: skip
    steps = [step("masked words", settings["adapt_seconds"], updates, texts["notes"])]
    adapted = out / "adapted"
    model.encoder.save_pretrained(adapted)
    if plan.get("folds"):
        folds(data, plan, str(adapted), out, device)
    corpora = gold(data, plan, "student", device)
    sources = [(w, everything(w), plan["gold"][name]) for name, w in corpora.items()]
    for name, share in settings["texts"].items():
        path = out / f"{name}.pt"
        while not path.exists():
            time.sleep(0.2)
        found = texts[name]
        found.soft = torch.load(path, map_location=device, weights_only=True)
        every = torch.arange(int(found.token_end[-1]), device=device)
        found.soft_at = dict.fromkeys(found.soft, every)
        found.layers_of = {layer: np.ones(len(found), dtype=bool) for layer in found.soft}
        sources.append((found, everything(found), share))
    updates = learn(model, drawer(sources, settings["size"]), seconds=settings["seconds"],
                    rate=settings["rate"], name="student")  # fmt: skip
    what = f"{learned_from(plan)} and the teacher's labels"
    steps.append(step(what, settings["seconds"], updates))
    write_weights(model, out)
    write_scores(model, data, plan, "student", out / "student-scores.npz", device)
    write_facts(out, "student", plan, model, steps, time.monotonic() - began)


def write_weights(model: Tagger, out: Path) -> None:
    """Write what the student learned, in files of no more than 15 MB."""
    state = {name: value.half().cpu().numpy() for name, value in model.state_dict().items()}
    parts: list[dict[str, Any]] = [{}]
    for name, value in state.items():
        if sum(v.nbytes for v in parts[-1].values()) + value.nbytes > 14e6 and parts[-1]:
            parts.append({})
        parts[-1][name] = value
    split_large(parts)
    for at, part in enumerate(parts):
        np.savez(out / f"student-{at}.npz", **part)


def split_large(parts: list[dict[str, Any]]) -> None:
    """Cut an array that is larger than a file may be into two, by rows."""
    for part in list(parts):
        for name, value in list(part.items()):
            if value.nbytes > 15e6:
                half = len(value) // 2
                part[f"{name}|0"] = value[:half]
                parts.append({f"{name}|1": value[half:]})
                del part[name]


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["teach", "learn"])
    parser.add_argument("data", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(1)
    {"teach": teach, "learn": learn_from}[given.part](given.data, given.encoder, given.out, device)


if __name__ == "__main__":
    main()
