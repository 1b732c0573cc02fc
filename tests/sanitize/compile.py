"""Compiles the kernels of the folder it runs in with the sanitizers, in place: compile.py PROJECT-FILE [--force]."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from Cython.Build import cythonize
from setuptools import Extension, setup

_SANITIZERS: Final = "-fsanitize=address,undefined"
# -O1 behind the project's own flags: reports are readable and the build takes a third of the time.
_COMPILE: Final = (
    "-O1",
    "-g",
    _SANITIZERS,
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-fsanitize-coverage=trace-pc,trace-cmp",
)


def extensions(project: Path) -> list[Extension]:
    """Those that the project file lists, with their own flags and ours behind them."""
    listed: list[dict[str, Any]] = tomllib.loads(project.read_text())["tool"]["setuptools"]["ext-modules"]
    made = []
    for one in listed:
        arguments = {key.replace("-", "_"): value for key, value in one.items() if not key.startswith("extra-")}
        compiling = [*one.get("extra-compile-args", []), *_COMPILE]
        made.append(
            Extension(
                **arguments,
                extra_compile_args=compiling,
                extra_link_args=[*one.get("extra-link-args", []), _SANITIZERS],
            )
        )
    return made


if __name__ == "__main__":
    options = ["--quiet", "build_ext", "--inplace", "--parallel", str(os.cpu_count() or 1), *sys.argv[2:]]
    setup(
        name="mailward",
        packages=[],
        py_modules=[],
        script_args=options,
        ext_modules=cythonize(extensions(Path(sys.argv[1])), quiet=True),  # type: ignore[no-untyped-call]
    )
