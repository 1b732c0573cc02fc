"""`mailward serve`: binds the ports, gives up root, starts the processes and starts them again when they die.

It parses nothing that comes from the network. Children learn of its end by end of file on a pipe (the lifeline),
so that killing the supervisor stops everything cleanly and a new one can start at once.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import engine
from engine import config, events, privileges
from engine.config import ConfigError, Listener, Settings
from engine.journal import JournalWriter
from engine.layout import Layout
from engine.smtp.admission import SlotTable
from engine.watch import ConfigWatch

STOP_PATIENCE_S = 20.0  # for work in hand; what is not finished by then resumes after the next start (PROC-14)
RESTART_DELAYS_S = (0.0, 0.1, 0.5, 1.0, 5.0)  # by how often it died soon after its start
SOON_S = 10.0
BACKLOG = 1024


class StartFailed(Exception):
    """Why the service cannot start, in words for the operator."""


@dataclass
class ChildSpec:
    """A process to keep alive. arguments: those behind `python -m`; descriptors: what it inherits besides."""

    name: str
    arguments: Sequence[str]
    descriptors: Sequence[int] = ()


@dataclass
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    ready_fd: int = -1
    ready: bool = False
    started_at: float = 0.0
    deaths: int = 0
    due_at: float = field(default=0.0)


def bind(listener: Listener, count: int = 1) -> list[socket.socket]:
    """Listening sockets for one address; several share the port by SO_REUSEPORT. Raises StartFailed."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    found = []
    try:
        for _ in range(count):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((listener.host, listener.port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
            found.append(sock)
    except OSError as error:
        raise StartFailed(
            f"cannot listen on {listener}: {error.strerror}. Is another program using the port?"
        ) from None
    return found


class Supervisor:
    def __init__(self, root: Path, extra: Callable[[socket.socket, socket.socket], Sequence[ChildSpec]]) -> None:
        """extra: given the plain and the TLS socket of the pages, tells which further processes to run."""
        self._layout = Layout(root)
        self._extra = extra
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._announced = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit status."""
        layout = self._layout
        try:
            settings = config.load(layout.config)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        layout.make()
        lock = self._lock()
        if lock is None:
            print(f"another mailward serves {layout.root} already: stop it first", file=sys.stderr)
            return 2
        journal: JournalWriter | None = None
        try:
            relays = settings.processes.relays or os.cpu_count() or 1
            smtp = bind(settings.smtp.listen, relays)
            (plain,) = bind(settings.web.http)
            (tls,) = bind(settings.web.https)
            self._become_service_user(settings)
            journal = JournalWriter(layout.journal, "supervisor")
            self._prepare(settings, smtp, plain, tls)
        except (StartFailed, OSError) as error:
            self._start_failed(journal, str(error))
            return 1
        self._journal = journal
        self._watch = ConfigWatch(layout.config, settings)
        after_crash = not layout.clean_stop.exists() and any(layout.queue.iterdir())
        layout.clean_stop.unlink(missing_ok=True)
        journal.write(events.ServiceStarted(version=engine.VERSION, after_crash=after_crash))
        self._ready_line = f"ready smtp={settings.smtp.listen} https={settings.web.https}"
        with self._signals():
            self._loop()
        layout.clean_stop.touch()
        journal.write(events.ServiceStopped())
        journal.close()
        os.close(lock)
        return 0

    def _lock(self) -> int | None:
        fd = os.open(self._layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def _start_failed(self, journal: JournalWriter | None, reason: str) -> None:
        print(reason, file=sys.stderr)
        journal = journal or JournalWriter(self._layout.journal, "supervisor")
        journal.write(events.ServiceStartFailed(reason=reason))
        journal.close()

    def _become_service_user(self, settings: Settings) -> None:
        try:
            privileges.drop(settings.processes.user, self._layout.root)
        except privileges.CannotDrop as error:
            print(f"warning: still running as root: {error}", file=sys.stderr)

    def _prepare(
        self, settings: Settings, smtp: Sequence[socket.socket], plain: socket.socket, tls: socket.socket
    ) -> None:
        slots = SlotTable.create(len(smtp))
        for number, sock in enumerate(smtp):
            arguments = [
                "engine.relay",
                f"--root={self._layout.root}",
                f"--number={number}",
                f"--count={len(smtp)}",
                f"--listen-fd={sock.fileno()}",
                f"--slots-fd={slots.fd}",
            ]
            self._children.append(_Child(ChildSpec(f"relay-{number}", arguments, (sock.fileno(), slots.fd))))
        self._slots = slots
        self._sockets = [*smtp, plain, tls]
        self._children += [_Child(spec) for spec in self._extra(plain, tls)]

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        self._wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(self._wake_r, selectors.EVENT_READ, self._on_signal)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            os.close(wake_w)
            os.close(self._wake_r)

    def _loop(self) -> None:
        self._lifeline_r, self._lifeline_w = os.pipe2(os.O_CLOEXEC)
        for child in self._children:
            self._start(child)
        while not self._stopping:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._start_those_due()
            self._watch.check(self._applied, self._refused)
        self._stop()

    def _patience(self) -> float:
        """At most a second, the interval of looking at the configuration file."""
        now = time.monotonic()
        waits = [child.due_at - now for child in self._children if child.process is None]
        return max(0.0, min([1.0, *waits]))

    def _applied(self, settings: Settings) -> None:
        revision = f"{os.stat(self._layout.config).st_mtime_ns:x}"
        self._journal.write(events.ConfigurationApplied(revision=revision))

    def _refused(self, reason: str) -> None:
        print(f"configuration refused, the one in force stays: {reason}", file=sys.stderr)
        self._journal.write(events.ConfigurationRefused(reason=reason))

    def _start(self, child: _Child) -> None:
        ready_r, ready_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        standing = {"ready": str(ready_w), "lifeline": str(self._lifeline_r)}
        arguments = [*child.spec.arguments, "--ready-fd={ready}", "--lifeline-fd={lifeline}"]
        child.process = subprocess.Popen(
            [sys.executable, "-m", *(argument.format(**standing) for argument in arguments)],
            pass_fds=(*child.spec.descriptors, ready_w, self._lifeline_r),
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(Path(engine.__file__).parent.parent)},
        )
        os.close(ready_w)
        child.ready_fd = ready_r
        child.started_at = time.monotonic()
        self._selector.register(ready_r, selectors.EVENT_READ, lambda: self._on_ready(child))

    def _on_ready(self, child: _Child) -> None:
        said = os.read(child.ready_fd, 64)
        self._selector.unregister(child.ready_fd)
        os.close(child.ready_fd)
        child.ready_fd = -1
        if said:
            child.ready = True
        if not self._announced and all(one.ready for one in self._children):
            self._announced = True
            print(self._ready_line, flush=True)

    def _on_signal(self) -> None:
        for number in os.read(self._wake_r, 4096):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                self._hang_up()
            else:
                self._stopping = True

    def _hang_up(self) -> None:
        """SIGHUP: reread now, here and in every process."""
        self._watch.check(self._applied, self._refused, force=True)
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(signal.SIGHUP)

    def _reap(self) -> None:
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            status = child.process.returncode
            reason = f"signal {-status}" if status < 0 else f"exit status {status}"
            child.process = None
            now = time.monotonic()
            child.deaths = child.deaths + 1 if now - child.started_at < SOON_S else 0
            child.due_at = now + RESTART_DELAYS_S[min(child.deaths, len(RESTART_DELAYS_S) - 1)]
            if child.spec.name.startswith("relay-"):
                self._slots.clear(int(child.spec.name[len("relay-") :]))
            self._journal.write(events.ProcessRestarted(name=child.spec.name, reason=reason))
            print(f"{child.spec.name} ended ({reason}): starting it again", file=sys.stderr)

    def _start_those_due(self) -> None:
        if self._stopping:
            return
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due_at <= now:
                if child.ready_fd >= 0:
                    self._selector.unregister(child.ready_fd)
                    os.close(child.ready_fd)
                    child.ready_fd = -1
                self._start(child)

    def _stop(self) -> None:
        """All at once: sessions get 421, work in hand is finished or resumed after the next start."""
        running = [child.process for child in self._children if child.process is not None]
        os.close(self._lifeline_w)
        deadline = time.monotonic() + STOP_PATIENCE_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for sock in self._sockets:
            sock.close()
