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
    first_step (int): The step to begin with, in a training that goes on from a checkpoint. The
        rate then rises to where it was over a tenth of the warm-up again: the first steps of an
        optimizer with empty moments are as long as they can be.
    YIELDS (float): The rate of each step, without end.
    """
    step = first_step
    again = warmup_steps / 10 if first_step else 0.0
    while True:
        if step < warmup_steps:
            rate = initial_rate * step / warmup_steps
        else:
            done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
            rate = final_rate + (initial_rate - final_rate) * (1.0 + math.cos(math.pi * done)) / 2.0
        yield rate * min(1.0, (step - first_step) / again) if again else rate
        step += 1
