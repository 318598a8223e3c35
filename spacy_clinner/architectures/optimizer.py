"""Adam on all cores: Thinc's own computes on one, which takes a sixth of the time of a training on
a CPU."""

from typing import Any, cast

import numpy as np
from thinc.api import Optimizer
from thinc.optimizers import FloatOrSeq, KeyT
from thinc.types import FloatsXd

# Parameters that one core updates faster than several can be called.
SMALL = 32768


class ParallelAdam(Optimizer):
    """Thinc's Adam with decoupled weight decay, computed by torch where that is faster."""

    __slots__ = ()

    def __call__(
        self, key: KeyT, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update a parameter in place.

        key (Tuple[int, str]): The parameter.
        weights, gradient (FloatsXd): float32 arrays of one shape.
        lr_scale (float): Factor of the rate.
        RETURNS (Tuple[FloatsXd, FloatsXd]): The weights, and the gradient set to 0.
        """
        arrays: tuple[Any, Any] = (weights, gradient)
        if weights.size < SMALL or not all(_flat_in_memory(array) for array in arrays):
            return cast("tuple[FloatsXd, FloatsXd]",
                        super().__call__(key, weights, gradient, lr_scale=lr_scale))  # fmt: skip
        import torch
        from torch.optim.adamw import adamw

        if key not in self.mom1:
            self.mom1[key], self.mom2[key] = (
                cast("FloatsXd", np.zeros(weights.size, dtype="f")) for _ in range(2)
            )
        moments: tuple[Any, Any] = (self.mom1[key], self.mom2[key])
        parameter, slope, mean, variance = (
            torch.from_numpy(array.reshape(-1)) for array in (*arrays, *moments)
        )
        if self.grad_clip and (norm := float(torch.linalg.vector_norm(slope))) >= self.grad_clip:
            slope *= self.grad_clip / norm
        steps = torch.tensor(float(self.nr_update[key]))
        # Thinc adds eps before it corrects the bias of the moments, torch after.
        eps = self.eps / (1.0 - self.b2 ** (self.nr_update[key] + 1)) ** 0.5
        adamw(
            [parameter], [slope], [mean], [variance], [], [steps],
            fused=True, amsgrad=False, maximize=False, lr=self.learn_rate * lr_scale,
            beta1=self.b1, beta2=self.b2, weight_decay=self.L2, eps=eps,
        )  # fmt: skip
        self.nr_update[key] += 1
        slope.zero_()
        return weights, gradient


def _flat_in_memory(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.float32 and array.flags.c_contiguous


def parallel_adam(
    learn_rate: FloatOrSeq = 0.001,
    L2: FloatOrSeq = 0.01,
    beta1: FloatOrSeq = 0.9,
    beta2: FloatOrSeq = 0.999,
    eps: FloatOrSeq = 1e-8,
    grad_clip: FloatOrSeq = 1.0,
) -> ParallelAdam:
    """Create Adam with decoupled weight decay (Loshchilov and Hutter, 2019); registered as
    `clinner.Adam.v1`. The same as `Adam.v1` with `L2_is_weight_decay` and without averages.

    learn_rate (Union[float, List[float], Generator]): The rate, or its schedule; so may be the
        others.
    L2 (float): Weight decay.
    beta1, beta2 (float): Decay of the two moments.
    eps (float): Keeps the division by the second moment's root finite.
    grad_clip (float): The largest norm of a parameter's gradient, 0 for any.
    RETURNS (ParallelAdam): The optimizer.
    """
    return ParallelAdam(
        learn_rate, L2=L2, beta1=beta1, beta2=beta2, eps=eps, grad_clip=grad_clip,
        use_averages=False, L2_is_weight_decay=True,
    )  # fmt: skip
