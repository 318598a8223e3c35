"""Tunes a language model on chats by LoRA (Hu et al., 2021): a few small matrices beside its own.

A plain loop: `trl` 0.11.4, which the published systems use, needs a `datasets` that does not run
with current `pyarrow`, and of it only this loop would be used.
"""

import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.files import check_folder, folder_written_whole
from spacy_clinner.progress import Progress, quiet

IGNORED = -100
# For models without a chat template of their own.
TEMPLATE = (
    "{% for message in messages %}{{ '### ' + message['role'] + '\\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\\n\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '### assistant\\n' }}{% endif %}"
)
# What was tuned, and how; beside the adapter.
RECORD = "tuning.json"


@dataclass(frozen=True)
class Tuning:
    """How to tune; the defaults are those that Kiwi was published with.

    rank (int), alpha (int), dropout (float): Of the adapter.
    epochs (int): Passes over the chats.
    learn_rate (float): At its highest; a cosine after `warmup`, a part of all updates.
    batch (int): Chats of an update. at_once (int): Chats of it that are computed at a time.
    length (int): Tokens of the model; longer chats are left out and counted.
    clip (float): The highest norm of a gradient.
    seed (int): Decides the order.
    minutes (float): Stop after so many, with the learning rate brought down in time; 0 for none.
    RAISES (ClinnerError): One is out of range.
    """

    rank: int = 16
    alpha: int = 64
    dropout: float = 0.05
    epochs: int = 2
    learn_rate: float = 2e-4
    warmup: float = 0.05
    batch: int = 16
    at_once: int = 4
    length: int = 1000
    clip: float = 0.3
    seed: int = 1
    minutes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "epochs", "batch", "at_once", "length"):
            if getattr(self, name) < 1:
                raise ClinnerError(f"tuning: `{name}` must be 1 or more.")
        for name in ("learn_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ClinnerError(f"tuning: `{name}` must be a number above 0.")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ClinnerError(f"tuning: `{name}` must be 0 or more, and less than 1.")
        if not 0 <= self.minutes < math.inf:
            raise ClinnerError("tuning: `minutes` must be 0 or more.")


@dataclass(frozen=True)
class Tuned:
    """What came of it.

    chats (int), left_out (int): Learned from; too long for that.
    updates (int): How many. losses (list[float]): The mean of each epoch, per token.
    """

    chats: int
    left_out: int
    updates: int
    losses: list[float]


def tune(
    chats: Path,
    model: str,
    out: Path,
    tuning: Tuning | None = None,
    *,
    device: str = "cpu",
    progress: Progress = quiet,
) -> Tuned:
    """Tune a model.

    chats (Path): JSONL as `instruct` writes it; what is learned is the last message of each.
    model (str): A folder with a causal language model of `transformers`, or its name on the hub.
    out (Path): Gets the adapter, as safetensors, the tokenizer, and `tuning.json`, in place of an
        earlier one.
    tuning (Tuning | None): How; None for the defaults.
    device (str): "cpu", "cuda:0", ...
    progress (Progress): Shows how far it is.
    RETURNS (Tuned): What came of it.
    RAISES (ClinnerError): A package is missing, there is no such device, a file or the model cannot
        be read, there was no time for an update, or `out` would take the place of something else.
    """
    check_folder(out, RECORD, [chats, Path(model)])
    try:
        import torch
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ClinnerError(
            f"tuning needs {error.name}: pip install 'spacy-clinner[llm-train]'."
        ) from None
    how = tuning or Tuning()
    _check_device(device)
    messages = read_chats(chats)
    if not messages:
        raise ClinnerError(f"{chats}: holds no chat.")
    tokenizer, base = load_causal(model, device)
    torch.manual_seed(how.seed)
    rows = [_row(tokenizer, chat) for chat in messages]
    kept = [row for row in rows if len(row[0]) <= how.length]
    if not kept:
        raise ClinnerError(f"{chats}: no chat has {how.length} tokens or fewer. Raise --length.")
    lora = LoraConfig(
        r=how.rank,
        lora_alpha=how.alpha,
        lora_dropout=how.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(base, lora)
    updates, losses = _learn(adapted, kept, how, tokenizer.pad_token_id, device, progress)
    if not updates:
        raise ClinnerError(f"no update was made in {how.minutes:g} minutes. Raise --minutes.")
    tuned = Tuned(len(kept), len(rows) - len(kept), updates, losses)
    with folder_written_whole(out) as folder:
        adapted.save_pretrained(str(folder))
        tokenizer.save_pretrained(folder)
        record = {"model": model, **asdict(how), **asdict(tuned)}
        (folder / RECORD).write_text(json.dumps(record, indent=2), encoding="utf8")
    return tuned


def read_chats(path: Path) -> list[list[dict[str, str]]]:
    """Read what `instruct` writes.

    path (Path): The JSONL file.
    RETURNS (list[list[dict[str, str]]]): The messages of each chat.
    RAISES (ClinnerError): It is missing, or is not such a file.
    """
    try:
        with path.open(encoding="utf8") as lines:
            found = [json.loads(line)["messages"] for line in lines if line.strip()]
        if all(map(_is_chat, found)):
            return found
    except OSError as error:
        raise ClinnerError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise ClinnerError(f"{path}: not a file of chats. `clinner instruct` writes them.")


def _is_chat(messages: Any) -> bool:
    """Whether it is a list of messages in words, the last of which is an answer."""
    return (
        isinstance(messages, list)
        and len(messages) > 1
        and all(
            isinstance(one, dict) and all(isinstance(one.get(k), str) for k in ("role", "content"))
            for one in messages
        )
        and messages[-1]["role"] == "assistant"
    )


def _check_device(device: str) -> None:
    """Check that torch can compute on a device.

    device (str): "cpu", "cuda:0", ...
    RAISES (ClinnerError): It cannot.
    """
    import torch

    try:
        torch.zeros(1, device=device)
    # A torch without CUDA asserts that it has it.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ClinnerError(
            f"torch cannot compute on {device} ({reason}). Install a CUDA build of torch, name "
            f"another GPU, or use --gpu-id -1."
        ) from None


def load_causal(model: str, device: str) -> tuple[Any, Any]:
    """A causal language model with its tokenizer, which has a chat template and can pad.

    model (str): A folder or a name on the hub; nothing of it that is code is run.
    device (str): Where to put it; on a GPU in bf16.
    RETURNS (tuple[Any, Any]): Tokenizer and model.
    RAISES (ClinnerError): It cannot be loaded.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
        loaded = AutoModelForCausalLM.from_pretrained(
            model, torch_dtype=dtype, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise ClinnerError(f"{model}: no model that can be loaded ({one_line(error)}).") from None
    if tokenizer.chat_template is None:
        tokenizer.chat_template = TEMPLATE
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, loaded.to(device)


def _row(tokenizer: Any, chat: Sequence[dict[str, str]]) -> tuple[list[int], int]:
    """The tokens of a chat, and how many of them come before its answer."""
    asked = tokenizer.apply_chat_template(chat[:-1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(chat, tokenize=False)
    before = tokenizer(asked, add_special_tokens=False)["input_ids"]
    tokens = tokenizer(whole, add_special_tokens=False)["input_ids"]
    return tokens, len(before)


def _learn(
    model: Any,
    rows: list[tuple[list[int], int]],
    how: Tuning,
    padding: int,
    device: str,
    progress: Progress,
) -> tuple[int, list[float]]:
    import torch

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=how.learn_rate, weight_decay=0.0)
    order = random.Random(how.seed)
    total = how.epochs * math.ceil(len(rows) / how.batch)
    began = time.monotonic()
    updates, losses = 0, []
    model.train()
    for epoch in range(how.epochs):
        order.shuffle(rows)
        summed = counted = 0.0
        batches = [rows[at : at + how.batch] for at in range(0, len(rows), how.batch)]
        for batch in progress(batches, f"Epoch {epoch + 1}", len(batches)):
            spent = (time.monotonic() - began) / 60
            done = max(updates / total, spent / how.minutes if how.minutes else 0.0)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = how.learn_rate * _rate(done, how.warmup)
            answered = sum(len(tokens) - asked for tokens, asked in batch)
            for inputs in _inputs(batch, how.at_once, padding, device):
                loss = model(**inputs).loss * (inputs["labels"][:, 1:] != IGNORED).sum()
                (loss / answered).backward()
                summed += float(loss.detach())
            counted += answered
            torch.nn.utils.clip_grad_norm_(trained, how.clip)
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
        losses.append(summed / max(1.0, counted))
    model.eval()
    return updates, losses


def _rate(done: float, warmup: float) -> float:
    if done < warmup:
        return (done + 0.01) / (warmup + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _inputs(
    batch: Sequence[tuple[list[int], int]], at_once: int, padding: int, device: str
) -> Iterator[dict[str, Any]]:
    """What the model takes; only the answer's tokens count."""
    import torch

    for at in range(0, len(batch), at_once):
        rows = batch[at : at + at_once]
        width = max(len(tokens) for tokens, _ in rows)
        ids = [tokens + [padding] * (width - len(tokens)) for tokens, _ in rows]
        labels = [
            [IGNORED] * asked + tokens[asked:] + [IGNORED] * (width - len(tokens))
            for tokens, asked in rows
        ]
        mask = [[1] * len(tokens) + [0] * (width - len(tokens)) for tokens, _ in rows]
        yield {
            name: torch.tensor(value, device=device)
            for name, value in (("input_ids", ids), ("labels", labels), ("attention_mask", mask))
        }
