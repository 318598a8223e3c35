"""Computing the encoder in bfloat16 on CPUs that have instructions for it (AVX512-BF16, AMX).

That doubles the speed of training at equal F1, and of prediction at vectors that differ in the
third digit. Weights, gradients and the saved model stay float32. On a GPU nothing here applies:
`mixed_precision` is the switch there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from spacy_clinner.architectures.instructions import instructions
from spacy_clinner.errors import ClinnerError

When = Literal["auto", "yes", "no"]


def wanted(when: When) -> bool:
    """Whether to compute in bf16 on this CPU.

    when (str): "yes", "auto" or "no".
    RETURNS (bool): True for "yes", and for "auto" where the CPU is able.
    RAISES (ClinnerError): "yes" on a CPU that would be slower for it.
    """
    if when == "no":
        return False
    able = instructions().bf16
    if when == "yes" and not able:
        raise ClinnerError(
            'bf16_on_cpu is "yes", but this CPU has neither AVX512-BF16 nor AMX, so bf16 would be '
            'slower. Set it to "auto" or "no".'
        )
    return able


@contextmanager
def in_bf16(training: bool) -> Iterator[None]:
    """Compute what stands in the block in bf16 on the CPU.

    training (bool): Whether gradients are to follow.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.autocast("cpu", dtype=torch.bfloat16):
        if not training:
            yield
            return
        # The backward pass of torch's fused attention is slow in bf16: attention as plain matrix
        # products, not upcast in between, takes three quarters of a training step's time with it.
        # ("cuda" is only where torch keeps the switch.)
        switches: Any = torch.backends.cuda
        before = switches.fp16_bf16_reduction_math_sdp_allowed()
        switches.allow_fp16_bf16_reduction_math_sdp(True)
        try:
            with sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            switches.allow_fp16_bf16_reduction_math_sdp(before)
