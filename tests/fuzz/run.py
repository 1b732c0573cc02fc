"""Fuzzing that follows coverage, of Python and kernels alike: `make fuzz SECONDS=60 [TARGET=name] [REPLAY=file]`.

    python -m tests.fuzz.run [--seconds 60] [--target NAME]... [--jobs 2] [--work build/fuzz]
    python -m tests.fuzz.run --target NAME --replay FILE

The engine is libFuzzer inside atheris: Python modules are instrumented as they are imported, and the kernels report
through tests/sanitize/coverage.c when run in the sanitized copy, as `make fuzz` does. A target's corpus is kept in
WORK/NAME/corpus and grows from run to run; a finding (an exception, a report of a sanitizer, more than TIMEOUT_S for
one input, too much memory) is written to WORK/NAME/findings and ends that target. Exit status 1: there are findings.
"""

import argparse
import ctypes
import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.fuzz import targets

TIMEOUT_S: Final = 25  # for one input, under sanitizers
_MEMORY_MB: Final = 3072  # the sanitizers keep what was freed
_INSTRUMENTED: Final = ["engine", "signatures", "control"]
_STATE: Final = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_RUNS: Final = re.compile(r"stat::number_of_executed_units: (\d+)")
_COMPARED: Final = ("cmp1", "cmp2", "cmp4", "cmp8", "const_cmp1", "const_cmp2", "const_cmp4", "const_cmp8")


def _cover_kernels() -> None:
    """Let kernels and Python report to libFuzzer in the sanitized copy. Elsewhere atheris sees to Python itself."""
    from atheris import core_with_libfuzzer

    ours = ctypes.CDLL(None)
    if not hasattr(ours, "mw_coverage_begin"):
        return
    engine = ctypes.CDLL(core_with_libfuzzer.__file__)
    functions = [getattr(engine, f"__sanitizer_cov_{name}") for name in ("8bit_counters_init", "pcs_init")]
    compared = (ctypes.c_void_p * len(_COMPARED))(
        *(ctypes.cast(getattr(engine, f"__sanitizer_cov_trace_{name}"), ctypes.c_void_p).value for name in _COMPARED)
    )
    ours.mw_coverage_begin(*functions, compared, engine.__sanitizer_cov_trace_switch)


def fuzz(name: str, seconds: int, work: Path) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    _cover_kernels()
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = targets.load(name)
    corpus, findings = work / name / "corpus", work / name / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-artifact_prefix={findings}/",
        f"-max_len={max([4096, *(2 * len(seed) for seed in target.seeds)])}",
        "-report_slow_units=15",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.one_input)
    atheris.Fuzz()


def _run(name: str, seconds: int, work: Path) -> bool:
    """Fuzz one target in a process of its own and tell what came out. Returns whether nothing was found."""
    (work / name / "findings").mkdir(parents=True, exist_ok=True)
    before = set((work / name / "findings").iterdir())
    command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, "--seconds", str(seconds), "--work", str(work)]
    log = work / name / "log"
    with log.open("wb") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(errors="replace")
    state, runs = _STATE.findall(text), _RUNS.findall(text)
    cover = f"coverage {state[-1][0]}, features {state[-1][1]}, corpus {state[-1][2]}" if state else "no coverage"
    print(f"{name:20} {runs[-1] if runs else '?':>10} inputs, {cover}", flush=True)
    found = sorted(set((work / name / "findings").iterdir()) - before)
    for path in found:
        print(f"  finding: {path}\n  replay:  make fuzz TARGET={name} REPLAY={path}", flush=True)
    if status:
        print("\n".join(f"    {line}" for line in _told(text)), flush=True)
        print(f"  ended with status {status}; all it said: {log}", flush=True)
    return not status and not [path for path in found if not path.name.startswith("slow-unit")]


def _told(text: str) -> list[str]:
    """The lines of a report that say most."""
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if "Uncaught Python" in line or "ERROR:" in line or "Error" in line]
    return lines[starts[0] : starts[0] + 30] if starts else lines[-15:]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz.run", description="Fuzz the targets of tests/fuzz.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", help="a name as in fuzz_NAME.py; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--replay", type=Path, help="run one input through one target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        fuzz(chosen.one, chosen.seconds, chosen.work)
        return 0
    known = targets.names()
    wanted = chosen.target or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"no target {unknown[0]}; there are {', '.join(known)}")
    if chosen.replay:
        for name in wanted:
            targets.load(name).one_input(chosen.replay.read_bytes())
        print("nothing found")
        return 0
    with ThreadPoolExecutor(max(1, chosen.jobs)) as pool:
        clean = list(pool.map(lambda name: _run(name, chosen.seconds, chosen.work.resolve()), wanted))
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
