"""Kernels: octets in, facts out. No I/O, no policy, nothing of the other rooms."""

from importlib import import_module
from typing import Final

KERNELS: Final = (
    "base64",
    "binhex",
    "crc32c",
    "lzfu",
    "mime",
    "quoted_printable",
    "smtp_data",
    "spelled",
    "uue",
    "yenc",
)


def dispatch() -> dict[str, str]:
    """Which variant of each kernel this processor runs, by kernel name: "scalar" or an instruction set.

    Chosen once when a kernel is imported, and constant from then on. Imports all kernels; raises ImportError when one
    is missing, so that start-up can stop there.
    """
    variants = {name: str(import_module(f"cext.{name}").VARIANT) for name in KERNELS}
    return {"automaton": str(import_module("cext.automaton").dispatch()), **variants}
