"""What the CPU can compute fast, which decides how encoders are trained and run on it."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

CPUINFO = Path("/proc/cpuinfo")
# What oneDNN may use at most under each value of ONEDNN_MAX_CPU_ISA that takes one of the two away.
WITHOUT_INT8 = ("SSE41", "AVX", "AVX2", "AVX512_CORE")
WITHOUT_BF16 = (*WITHOUT_INT8, "AVX2_VNNI", "AVX512_CORE_VNNI")


class Instructions(NamedTuple):
    """Kinds of arithmetic that the CPU has instructions for.

    int8 (bool): Sums of products of 8-bit integers, without saturation: VNNI or AMX. Without them
        int8 is slower than float32, and sums of unsigned by signed products saturate.
    bf16 (bool): Sums of products of bfloat16: AVX512-BF16 or AMX.
    """

    int8: bool
    bf16: bool


@cache
def cpu_flags() -> frozenset[str]:
    """RETURNS (FrozenSet[str]): The CPU's flags as Linux names them; none on other systems, where
    all is computed in float32."""
    try:
        lines = CPUINFO.read_text(encoding="utf8").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(flags, "").split())


def instructions() -> Instructions:
    """Find what this process may use.

    RETURNS (Instructions): What the CPU has, but for what the environment variable
        `ONEDNN_MAX_CPU_ISA` forbids, by which a newer CPU behaves as an older one.
    """
    flags = cpu_flags()
    most = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    int8 = bool(flags & {"avx512_vnni", "avx_vnni", "amx_int8"}) and most not in WITHOUT_INT8
    bf16 = bool(flags & {"avx512_bf16", "amx_bf16"}) and most not in WITHOUT_BF16
    return Instructions(int8, bf16)
