import math
from collections.abc import Iterator


def warmup_cosine(
    initial_rate: float,
    warmup_steps: int,
    total_steps: int,
    final_rate: float = 0.0,
    first_step: int = 0,
) -> Iterator[float]:
    """Rise linearly from 0, then fall along half a cosine; registered as
    `clinner.warmup_cosine.v1`.

    initial_rate (float): The rate at the end of the warm-up, the highest.
    warmup_steps (int): Steps of the rise; 0 starts at the highest rate.
    total_steps (int): The step, warm-up included, from which on the rate is `final_rate`.
    final_rate (float): The rate at the end.
    first_step (int): The step to begin with, in a training that goes on from a checkpoint.
    YIELDS (float): The rate of each step, without end.
    """
    step = first_step
    while True:
        if step < warmup_steps:
            yield initial_rate * step / warmup_steps
        else:
            done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
            yield final_rate + (initial_rate - final_rate) * (1.0 + math.cos(math.pi * done)) / 2.0
        step += 1
