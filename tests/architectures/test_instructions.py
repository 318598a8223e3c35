import pytest

from spacy_clinner.architectures import instructions as module
from spacy_clinner.architectures.instructions import Instructions, cpu_flags, instructions


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Sets what the machine's list of its CPU's flags says."""

    def have(*flags):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {' '.join(flags)}\n")
        monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
        cpu_flags.cache_clear()

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    yield have
    cpu_flags.cache_clear()


@pytest.mark.parametrize(
    ("flags", "able"),
    [
        (["avx2"], Instructions(int8=False, bf16=False)),
        (["avx2", "avx_vnni"], Instructions(int8=True, bf16=False)),
        (["avx512f", "avx512bw"], Instructions(int8=False, bf16=False)),
        (["avx512f", "avx512_vnni"], Instructions(int8=True, bf16=False)),
        (["avx512f", "avx512_vnni", "avx512_bf16"], Instructions(int8=True, bf16=True)),
        (["avx512f", "amx_int8", "amx_bf16"], Instructions(int8=True, bf16=True)),
    ],
)
def test_what_is_computed_in_follows_from_the_flags(cpu, flags, able):
    cpu(*flags)
    assert instructions() == able


@pytest.mark.parametrize(
    ("most", "able"),
    [
        ("AVX2", Instructions(int8=False, bf16=False)),
        ("avx512_core", Instructions(int8=False, bf16=False)),
        ("AVX512_CORE_VNNI", Instructions(int8=True, bf16=False)),
        ("AVX512_CORE_BF16", Instructions(int8=True, bf16=True)),
        ("DEFAULT", Instructions(int8=True, bf16=True)),
    ],
)
def test_onednn_can_be_told_to_behave_as_on_an_older_cpu(cpu, monkeypatch, most, able):
    cpu("avx512_vnni", "avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert instructions() == able


def test_where_flags_cannot_be_read_all_is_computed_in_float32(tmp_path, cpu, monkeypatch):
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "nowhere")
    cpu_flags.cache_clear()
    assert instructions() == Instructions(int8=False, bf16=False)
