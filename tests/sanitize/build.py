"""A second copy of the packages whose kernels are built with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitize/build.py          build it, or what has changed since
    python tests/sanitize/build.py RUN ...  build it, then run `python RUN ...` in it

The copy lies in build/sanitize; the kernels also report coverage to the fuzzer (coverage.c). Only gcc is needed. A
finding ends the process with a report. Leaks are not looked for: the interpreter itself leaves much behind.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
COPY: Final = ROOT / "build" / "sanitize"
PACKAGES: Final = ("cext", "engine", "signatures", "control", "bench", "tests")
COVERAGE: Final = COPY / "coverage.so"


def _sync() -> bool:
    """Bring the sources of the copy up to date. Returns whether a header or this file changed: then all is built."""
    COPY.mkdir(parents=True, exist_ok=True)
    before = _newest(COPY / "cext" / "include") if (COPY / "cext" / "include").is_dir() else 0
    for package in PACKAGES:
        for gone in [p for p in (COPY / package).rglob("*") if p.suffix in {".py", ".pyx", ".pxd", ".pyi", ".h"}]:
            if not (ROOT / gone.relative_to(COPY)).exists():
                gone.unlink()
        shutil.copytree(ROOT / package, COPY / package, dirs_exist_ok=True, ignore=_made)
    stamp = COPY / "built"
    made_by = Path(__file__).with_name("compile.py").stat().st_mtime
    changed = _newest(COPY / "cext" / "include") > before or not stamp.exists() or stamp.stat().st_mtime < made_by
    if changed:
        stamp.unlink(missing_ok=True)
    return changed


def _made(folder: str, names: list[str]) -> list[str]:
    """What is made out of sources, and so is made anew in the copy."""
    kernels = {name.removesuffix(".pyx") + ".c" for name in names if name.endswith(".pyx")}
    return [name for name in names if name.endswith(".so") or name == "__pycache__" or name in kernels]


def _newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.iterdir())


def build() -> None:
    """Bring the copy up to date. Raises subprocess.CalledProcessError, or what the compilers say."""
    everything = _sync()
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-o", str(COVERAGE), str(Path(__file__).with_name("coverage.c"))],
        check=True,
    )
    # setuptools would build by a project file that it sees, too.
    (COPY / "pyproject.toml").unlink(missing_ok=True)
    compiler = Path(__file__).with_name("compile.py")
    force = ["--force"] if everything else []
    subprocess.run([sys.executable, str(compiler), str(ROOT / "pyproject.toml"), *force], cwd=COPY, check=True)
    for one in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / one, COPY / one)
    (COPY / "built").touch()


def environment() -> dict[str, str]:
    """Of a process that loads these kernels. The interpreter's own allocator would hide what malloc shows."""
    libraries = [_library("libasan.so"), _library("libubsan.so")]
    return {
        **os.environ,
        "LD_PRELOAD": " ".join([str(COVERAGE), *libraries]),
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0:allocator_may_return_null=1:handle_abort=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYCRYPTODOME_DISABLE_DEEPBIND": "1",  # it would see another malloc than the sanitizer's
        "PYTHONPATH": str(COPY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
    }


def _library(name: str) -> str:
    done = subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    return str(Path(done.stdout.strip()).resolve())


if __name__ == "__main__":
    build()
    if sys.argv[1:]:
        os.chdir(COPY)
        os.execve(sys.executable, [sys.executable, *sys.argv[1:]], environment())
