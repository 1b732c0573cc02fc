"""cext.dispatch(): the variants that run."""

from cext import KERNELS, dispatch


def test_every_kernel_names_its_variant() -> None:
    chosen = dispatch()
    assert set(chosen) == {"automaton", *KERNELS}
    assert set(chosen.values()) <= {"scalar", "sse4.2", "avx2", "avx512"}
    assert dispatch() == chosen
