"""Adapt an encoder to clinical text: masked language modelling on unlabelled notes.

Gururangan et al. (2020) show what such a step gives; whole words are masked, as Cui et al. (2021)
recommend.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_folder, folder_written_whole

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Pieces per block, blocks per step, and the part of the words that is to be predicted.
BLOCK = 128
BATCH = 32
MASKED = 0.15
WARMUP = 0.06
LOG_STEPS = 50
# Types of encoders whose head for hidden pieces, and whose tokenizer, are BERT's.
TYPES = ("bert", "megatron-bert")
CHECKPOINT = ("model", "optimizer", "schedule")


@dataclass(frozen=True)
class Blocks:
    """Text as the encoder reads it.

    pieces (Ints): Piece numbers, shape (blocks, BLOCK).
    continues (Bools): Which pieces continue the word of the piece before; the same shape.
    masked (int): The number of the mask.
    special (tuple[int, ...]): The numbers of what is never masked.
    vocabulary (int): How many pieces there are.
    """

    pieces: Ints
    continues: Bools
    masked: int
    special: tuple[int, ...]
    vocabulary: int


def adapt(
    encoder: str,
    output: Path,
    texts: Sequence[str],
    *,
    epochs: int,
    learn_rate: float,
    seed: int,
    gpu_id: int,
    log: Callable[[str], Any],
) -> float:
    """Go on pretraining an encoder. A run that was cut off goes on where its last epoch ended.

    encoder (str): A BERT-like encoder: a folder, or a name in the Hugging Face cache.
    output (Path): Gets the adapted encoder and its tokenizer, in place of an earlier one;
        `OUTPUT.partial` holds checkpoints.
    texts (Sequence[str]): The texts.
    epochs (int): Passes over the texts.
    learn_rate (float): The highest rate, after a warm-up and before a linear decay to 0.
    seed (int): Decides the order of the texts and what is masked.
    gpu_id (int): The GPU, or -1 for the CPU.
    log (Callable[[str], Any]): Gets a line now and then; never any text.
    RETURNS (float): The mean cross entropy of the last steps.
    RAISES (ClinnerError): The encoder is of another kind, the texts do not fill one step, a
        checkpoint is of another run, or the output would take the place of something else.
    """
    check_folder(output, "tokenizer_config.json", [Path(encoder)])
    check_encoder(encoder)
    import torch
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(encoder, use_fast=True)  # type: ignore[no-untyped-call]
    blocks = blocks_of(texts, tokenizer)
    n_steps = epochs * (len(blocks.pieces) // BATCH)
    if not n_steps:
        raise ClinnerError(
            f"{len(texts)} texts fill {len(blocks.pieces)} blocks of {BLOCK} pieces, and a step "
            f"needs {BATCH}. Give more texts."
        )
    learner = Learner(encoder, gpu_id, learn_rate, n_steps)
    learner.run = fingerprint(learner, blocks, epochs=epochs, learn_rate=learn_rate, seed=seed)
    partial = output.resolve().with_name(f"{output.resolve().name}.partial")
    checkpoint = partial / "checkpoint.pt"
    if checkpoint.is_file():
        learner.load(checkpoint)
        log(f"ℹ going on after step {len(learner.losses)}")
    partial.mkdir(parents=True, exist_ok=True)
    for epoch in range(len(learner.losses) * epochs // n_steps, epochs):
        # By epoch, so that a run that goes on masks what an uncut one would.
        for step in learn_once(learner, blocks, np.random.default_rng([seed, epoch])):
            if step % LOG_STEPS == 0:
                log(f"ℹ step {step} of {n_steps}: loss {learner.loss:.3f}")
        learner.save(checkpoint)
    with folder_written_whole(output) as folder:
        learner.trained().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    shutil.rmtree(partial)
    return learner.loss


def check_encoder(encoder: str) -> None:
    """Stop before texts are read for an encoder that cannot be adapted.

    encoder (str): A folder, or a name in the Hugging Face cache.
    RAISES (ClinnerError): It is of another kind than BERT, or reads less than a block at once.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(encoder)
    if config.model_type not in TYPES:
        raise ClinnerError(
            f"{encoder}: of the type {config.model_type}, and those that can be adapted are "
            f"{', '.join(TYPES)}. Take one of these, or train with this one as it is."
        )
    if config.max_position_embeddings < BLOCK:
        raise ClinnerError(
            f"{encoder}: reads {config.max_position_embeddings} pieces at once, and adapting it "
            f"takes {BLOCK}. Take another one, or train with this one as it is."
        )


def learn_once(learner: "Learner", blocks: Blocks, rng: np.random.Generator) -> Iterator[int]:
    """One pass over the texts; what does not fill a step is left out.

    learner (Learner): Learns.
    blocks (Blocks): The texts.
    rng (Generator): Decides their order and what is masked.
    YIELDS (int): How many steps are done in all, after each.
    """
    order = rng.permutation(len(blocks.pieces))
    for at in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[at : at + BATCH]
        inputs, chosen = mask(blocks, rows, rng)
        learner.learn(inputs, chosen, blocks.pieces[rows][chosen])
        yield len(learner.losses)


class Learner:
    """An encoder that learns to predict hidden pieces, and all that goes on with it.

    encoder (str): A BERT-like encoder.
    gpu_id (int): The GPU, or -1 for the CPU.
    learn_rate (float), n_steps (int): The highest rate, and where it reaches 0.
    """

    def __init__(self, encoder: str, gpu_id: int, learn_rate: float, n_steps: int) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForMaskedLM

        config = AutoConfig.from_pretrained(encoder)
        self.dropout = {k: v for k, v in vars(config).items() if k.endswith("dropout_prob")}
        # In few passes dropout does not help, and on a CPU it takes half of the time. The same
        # goes for torch's fused attention, whose backward pass is slow there in bf16.
        config.update(dict.fromkeys(self.dropout, 0.0))
        self.device = torch.device(f"cuda:{gpu_id}" if gpu_id >= 0 else "cpu")
        attention = "sdpa" if gpu_id >= 0 else "eager"
        self.model: Any = AutoModelForMaskedLM.from_pretrained(
            encoder, config=config, attn_implementation=attention
        )
        self.model.to(self.device).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=learn_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / (WARMUP * n_steps), 1 - step / n_steps)
        )
        self.losses: list[float] = []
        self.run: dict[str, Any] = {}

    @property
    def loss(self) -> float:
        """The mean cross entropy of the last steps."""
        return float(np.mean(self.losses[-LOG_STEPS:]))

    def learn(self, inputs: Ints, chosen: Bools, target: Ints) -> None:
        """One step: predict the chosen pieces from what the encoder reads."""
        import torch

        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            read = torch.from_numpy(inputs).to(self.device)
            hidden = self.model.base_model(read).last_hidden_state
            scores = self.model.cls(hidden[torch.from_numpy(chosen).to(self.device)])
        right = torch.from_numpy(target).to(self.device)
        loss: Any = torch.nn.functional.cross_entropy(scores.float(), right)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.losses.append(float(loss.detach()))

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        import torch

        parts = {name: getattr(self, name).state_dict() for name in CHECKPOINT}
        new = path.with_suffix(".new")
        torch.save(parts | {"losses": self.losses, "run": self.run}, new)
        new.replace(path)

    def load(self, path: Path) -> None:
        """Read a checkpoint; one of another run raises `ClinnerError`."""
        import torch

        parts = torch.load(path, weights_only=True, map_location=self.device)
        before = parts.get("run", {})
        if other := [name for name, value in self.run.items() if before.get(name) != value]:
            raise ClinnerError(
                f"{path}: a checkpoint of a run with other {', '.join(other)}. Give what it was "
                f"begun with, or delete {path.parent} to begin anew."
            )
        for name in CHECKPOINT:
            getattr(self, name).load_state_dict(parts[name])
        self.losses = parts["losses"]

    def trained(self) -> Any:
        """The encoder without the head that predicted pieces, with its dropout as it was."""
        encoder = self.model.base_model
        encoder.config.update(self.dropout)
        return encoder


def blocks_of(texts: Sequence[str], tokenizer: Any) -> Blocks:
    """Lay texts end to end and cut them into blocks.

    texts (Sequence[str]): The texts.
    tokenizer (PreTrainedTokenizerFast): A WordPiece tokenizer.
    RETURNS (Blocks): The blocks; what is left over at the end is dropped.
    """
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    encoded = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
    pieces = [piece for text in encoded for piece in (*text.ids, last)]
    width = BLOCK - 2
    rows = len(pieces) // width
    body = np.array(pieces[: rows * width], dtype=np.int64).reshape(rows, width)
    ends = [np.full((rows, 1), piece) for piece in (first, last)]
    blocks = np.concatenate([ends[0], body, ends[1]], axis=1)
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    continues = np.array([name.startswith("##") for name in names])
    special = (first, last, tokenizer.mask_token_id)
    return Blocks(blocks, continues[blocks], tokenizer.mask_token_id, special, len(tokenizer))


def fingerprint(learner: Learner, blocks: Blocks, **settings: float) -> dict[str, Any]:
    """What must be the same for a run to go on from a checkpoint.

    learner (Learner): With the encoder, before it learned.
    blocks (Blocks): The texts.
    settings (float): Epochs, learning rate and seed.
    RETURNS (dict[str, Any]): SHA-256 of encoder and texts, and the settings.
    """
    weights = sha256()
    # The head that predicts pieces may be new, and is then of chance.
    for name, tensor in sorted(learner.model.base_model.state_dict().items()):
        weights.update(name.encode() + tensor.cpu().numpy().tobytes())
    texts = sha256(blocks.pieces.tobytes()).hexdigest()
    return {"encoder": weights.hexdigest(), "texts": texts, **settings}


def mask(blocks: Blocks, rows: Ints, rng: np.random.Generator) -> tuple[Ints, Bools]:
    """Choose words, and hide them as BERT does: 8 in 10 masked, 1 replaced by chance, 1 kept.

    blocks (Blocks): The text.
    rows (Ints): Which blocks, shape (n,).
    rng (Generator): Chance.
    RETURNS (tuple[Ints, Bools]): What the encoder reads, and which pieces it has to predict; both
        of shape (n, BLOCK).
    """
    pieces = blocks.pieces[rows]
    word = np.cumsum(~blocks.continues[rows], axis=1, dtype=np.int64)
    chance = rng.random((len(rows), BLOCK + 1))
    chosen = np.take_along_axis(chance, word, axis=1) < MASKED
    chosen &= ~np.isin(pieces, blocks.special)
    how = rng.random(pieces.shape)
    inputs = np.where(chosen & (how < 0.8), blocks.masked, pieces)
    replaced = chosen & (how >= 0.9)
    inputs[replaced] = rng.integers(0, blocks.vocabulary, int(replaced.sum()))
    return inputs, chosen
