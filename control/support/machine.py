"""Figures of the machine, the processes and the queues. None of them is about a person or a message."""

import itertools
import os
import platform
import time
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from cryptography import x509

import engine
from engine import certificate
from engine.diagnostics import files
from engine.layout import Layout
from engine.queue import listing
from engine.queue.state import FAST, HOLD, SLOW

MESSAGES: Final = 5_000  # of the queues that are looked at
NEXT_HOPS: Final = 20
_PACKAGES: Final = (
    *("acme", "argon2-cffi", "cryptography", "dnspython", "isal"),
    *("jinja2", "msgspec", "starlette", "uvicorn", "uvloop"),
)


def versions() -> dict[str, Any]:
    """What runs here."""
    return {
        "mailward": engine.VERSION,
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def system(layout: Layout) -> dict[str, Any]:
    """Disks, memory, load, and the processes of the gateway."""
    return {
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "memory_kb": dict(_memory()),
        "disks": {str(path): _disk(path) for path in (layout.root, *layout.directories) if path.exists()},
        "processes": list(_processes()),
    }


def _memory() -> Iterator[tuple[str, int]]:
    wanted = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in wanted:
            yield name, int(value.removesuffix("kB"))


def _disk(path: Path) -> dict[str, int]:
    found = os.statvfs(path)
    return {
        "size": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "files": found.f_files,
        "files_free": found.f_ffree,
    }


def _processes() -> Iterator[dict[str, Any]]:
    """Those of the gateway, by the module that they run; the rest of a command line may hold anything."""
    for directory in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            module = _module(directory)
            if module:
                yield {"pid": int(directory.name), "module": module, **_status(directory)}
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended meanwhile, or is of somebody else


_MODULES = (b"engine.relay", b"engine.scanner.server", b"engine.scanner.worker", b"control.serve")


def _module(directory: Path) -> str:
    words = (directory / "cmdline").read_bytes().split(b"\0")
    named = [word.decode() for word in words if word in _MODULES]
    is_command = any(word.endswith(b"mailward") or word == b"control.cli" for word in words[:3])
    return named[0] if named else "mailward" if is_command else ""


def _status(directory: Path) -> dict[str, Any]:
    wanted = {"State", "VmRSS", "VmHWM", "Threads", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"}
    lines = (directory / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    found = {name: value.strip() for name, _, value in pairs if name in wanted}
    return found | {"descriptors": sum(1 for _ in (directory / "fd").iterdir())}


def queues(layout: Layout) -> dict[str, Any]:
    """How many messages wait, how large and how old they are, and for which next hops."""
    places: dict[str, dict[str, int]] = {place: {"messages": 0, "octets": 0} for place in (FAST, SLOW, HOLD)}
    oldest: dict[str, int] = {}
    hops: Counter[str] = Counter()
    queue = listing.Queue(layout.root)
    for message in itertools.islice(queue, MESSAGES):
        place = places[message.place]
        place["messages"] += 1
        place["octets"] += message.size
        oldest[message.place] = min(oldest.get(message.place, message.received.time_ns), message.received.time_ns)
        hops[message.next_hop or "none yet"] += 1
    now_ns = time.time_ns()
    for name, since_ns in oldest.items():
        places[name]["oldest_s"] = max(0, now_ns - since_ns) // 1_000_000_000
    corrupt = layout.queue / "corrupt"
    return {
        "messages": len(queue),
        "looked_at": min(len(queue), MESSAGES),
        "places": places,
        "next_hops": dict(hops.most_common(NEXT_HOPS)),
        "damaged_files": sum(1 for _ in corrupt.iterdir()) if corrupt.exists() else 0,
        "log_segments": len(list(layout.queue.glob("fast/*/*"))),
    }


def lying_around(layout: Layout) -> dict[str, Any]:
    """Files that matter: their names, sizes and dates. Of certificates issuer and dates, nothing of keys."""
    return {
        "definitions": list(_listed(layout.definitions)),
        "journal": list(_listed(layout.journal)),
        "certificates": _certificates(layout.tls / certificate.FILE_NAME),
        "diagnostics": [
            {"kind": file.kind, "time": file.time, "id": file.id, "suffix": file.suffix, "size": file.size}
            for file in files.listing(layout.diagnostics)
        ],
    }


def _listed(directory: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(directory.iterdir()) if directory.exists() else ():
        status = path.lstat()
        mode = f"{status.st_mode:o}"
        yield {"name": path.name, "size": status.st_size, "changed": int(status.st_mtime), "mode": mode}


def _certificates(path: Path) -> list[dict[str, str]]:
    """That of the gateway, then its chain."""
    if not path.exists():
        return []
    return [
        {
            "issuer": found.issuer.rfc4514_string(),
            "from": found.not_valid_before_utc.isoformat(),
            "until": found.not_valid_after_utc.isoformat(),
        }
        for found in x509.load_pem_x509_certificates(path.read_bytes())
    ]
