"""`mailward serve`: binds the ports, gives up root, starts the processes and starts them again when they die.

It parses nothing that comes from the network. Children learn of its end by end of file on a pipe (the lifeline),
so that killing the supervisor stops everything cleanly and a new one can start at once. Relays have a channel
besides, on which they get new listening sockets when their port is changed while they run; the pages are started
again with theirs.
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
from datetime import UTC, datetime
from pathlib import Path

import engine
from engine import config, events, privileges
from engine.alerts import is_written
from engine.config import ConfigError, Settings
from engine.config.fields import differing
from engine.journal import JournalWriter, expire
from engine.layout import Layout
from engine.listening import WEB, CannotListen, Entrance, Listeners, belongs_to
from engine.smtp.shared import SharedCounts
from engine.watch import ConfigWatch

STOP_PATIENCE_S = 20.0  # for work in hand; what is not finished by then resumes after the next start (PROC-14)
LAST_MAIL_PATIENCE_S = 8.0  # until the pages have told that the service stops (ALR-03)
RESTART_DELAYS_S = (0.0, 0.1, 0.5, 1.0, 5.0)  # by how often it died soon after its start
SOON_S = 10.0
ENVIRONMENT = {
    "PYTHONPATH": str(Path(engine.__file__).parent.parent),
    # Of malloc(3): only one thread runs Python at a time, and a heap for each keeps what that one once needed.
    "MALLOC_ARENA_MAX": "1",
}
DAY_S = 86_400.0


def say(words: str) -> None:
    """To the operator, who may have gone away: what the service does must not hang on that."""
    with contextlib.suppress(OSError, ValueError):
        print(words, file=sys.stderr, flush=True)


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
    channel: socket.socket | None = None  # of a relay
    replaced: str = ""  # why we ended it ourselves
    ready_fd: int = -1
    ready: bool = False
    started_at: float = 0.0
    deaths: int = 0
    due_at: float = field(default=0.0)


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
        """Serve until SIGTERM or SIGINT. Returns the exit status: 2 if nothing was tried, 1 if the start failed."""
        layout = self._layout
        if not layout.config.exists():
            say(f"{layout.root} is no installation: make one with `mailward init --root {layout.root}`")
            return 2
        try:
            settings = config.load(layout.config)
        except ConfigError as error:
            self._start_failed(str(error))
            return 2
        try:
            layout.make()
            lock = self._lock()
        except OSError as error:
            self._start_failed(f"{error.filename}: {error.strerror}: whom does {layout.root} belong to?")
            return 1
        if lock is None:
            say(f"another mailward serves {layout.root} already: stop it first")
            return 2
        try:
            relays = settings.processes.relays or os.cpu_count() or 1
            self._listeners = Listeners(settings, relays, belongs_to(layout.root))
            self._become_service_user(settings)
            self._journal = JournalWriter(layout.journal, "supervisor")
            self._prepare(relays)
        except CannotListen as error:
            self._start_failed(str(error))
            return 1
        except OSError as error:
            self._start_failed(f"{error}: whom does {layout.root} belong to?")
            return 1
        self._watch = ConfigWatch(layout.config, settings)
        after_crash = not layout.clean_stop.exists() and any(layout.queue.iterdir())
        layout.clean_stop.unlink(missing_ok=True)
        self._event(events.ServiceStarted(version=engine.VERSION, after_crash=after_crash))
        self._expire_journal()
        self._changed_meanwhile(settings)
        with self._signals():
            self._loop()
        layout.clean_stop.touch()
        self._event(events.ServiceStopped())
        self._journal.close()
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

    def _event(self, event: events.Event) -> None:
        if is_written(event, self._watch.settings):
            self._journal.write(event)

    def _start_failed(self, reason: str) -> None:
        """SVC-04. The journal stays in the hands of whom the installation belongs to."""
        say(reason)
        with contextlib.suppress(OSError):
            journal = JournalWriter(self._layout.journal, "supervisor")
            journal.write(events.ServiceStartFailed(reason=reason))
            journal.close()
            if os.geteuid() == 0:
                owner = self._layout.root.stat()
                for path in self._layout.journal.glob("supervisor-*"):
                    os.chown(path, owner.st_uid, owner.st_gid)

    def _become_service_user(self, settings: Settings) -> None:
        try:
            privileges.drop(settings.processes.user, self._layout)
        except privileges.CannotDrop as error:
            say(f"warning: still running as root: {error}")

    def _prepare(self, relays: int) -> None:
        for stale in self._layout.run.glob("relay-*.sock"):  # of relays that were killed
            stale.unlink(missing_ok=True)
        self._relay_count = relays
        self._shared = SharedCounts.create(relays)
        self._children = [_Child(self._relay(number)) for number in range(relays)]
        self._children += [_Child(spec) for spec in self._pages()]

    def _relay(self, number: int) -> ChildSpec:
        entrances, shared = self._listeners.of_relay(number), self._shared.fd
        arguments = [
            "engine.relay",
            f"--root={self._layout.root}",
            f"--number={number}",
            f"--count={self._relay_count}",
            *(f"--listen={one.kind.code}{one.sock.fileno()}" for one in entrances),
            f"--shared-fd={shared}",
        ]
        return ChildSpec(f"relay-{number}", arguments, (*(one.sock.fileno() for one in entrances), shared))

    def _pages(self) -> Sequence[ChildSpec]:
        (plain,), (tls,) = self._listeners.sockets["http"], self._listeners.sockets["https"]
        return self._extra(plain, tls)

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
            if time.monotonic() > self._expire_due:
                self._expire_journal()
        self._stop()

    def _patience(self) -> float:
        """At most a second, the interval of looking at the configuration file."""
        now = time.monotonic()
        waits = [child.due_at - now for child in self._children if child.process is None]
        return max(0.0, min([1.0, *waits]))

    def _changed_meanwhile(self, settings: Settings) -> None:
        """What was changed while nothing ran is told too (ALR-07)."""
        before = settings
        with contextlib.suppress(ConfigError):  # the first start
            before = config.load(self._layout.in_force)
        if before != settings:
            self._tell_of_change(before, settings)
        self._keep(settings)

    def _applied(self, settings: Settings) -> None:
        self._tell_of_change(self._in_force, settings)
        self._keep(settings)
        self._listen(settings)

    def _tell_of_change(self, before: Settings, settings: Settings) -> None:
        if before.logging.enabled != settings.logging.enabled:
            self._journal.write(events.LoggingSwitched(enabled=settings.logging.enabled))  # in any case (RPT-18)
        changed = tuple(differing(before, settings))
        self._event(events.ConfigurationApplied(revision=self._watch.revision, changed=changed))

    def _keep(self, settings: Settings) -> None:
        """For processes that are started again while the file is broken."""
        self._in_force = settings
        try:
            config.save(settings, self._layout.in_force)
        except (OSError, ConfigError) as error:
            say(f"the settings in force cannot be kept in {self._layout.in_force}: {error}")

    def _listen(self, settings: Settings) -> None:
        """Where the settings say now. What cannot be had leaves all of it as it was, and in use (SMTP-01..04)."""
        try:
            changed = self._listeners.change(settings)
        except CannotListen as error:
            self._refused(f"{error}; {self._addresses()} stay in use")
            return
        if not set(WEB).issuperset(changed):
            for number, child in enumerate(self._relays()):
                child.spec = self._relay(number)
                self._hand_over(child, self._listeners.of_relay(number))
        if not set(WEB).isdisjoint(changed):
            pages = [child for child in self._children if child not in self._relays()]
            for child, child.spec in zip(pages, self._pages(), strict=True):
                if child.process is not None:
                    child.replaced = "its ports were changed"
                    child.process.terminate()
        if changed:
            say(f"now listening on {self._addresses()}")

    def _relays(self) -> list[_Child]:
        return [child for child in self._children if child.spec.name.startswith("relay-")]

    def _hand_over(self, child: _Child, entrances: Sequence[Entrance]) -> None:
        """All of them, in one message: a letter for the kind of each, and its socket."""
        if child.channel is not None:
            kinds = "".join(one.kind.code for one in entrances).encode()
            try:
                socket.send_fds(child.channel, [kinds], [one.sock.fileno() for one in entrances])
            except OSError as error:  # it is about to be started again, and then has them
                say(f"{child.spec.name} cannot be told of its new ports: {error}")

    def _addresses(self) -> str:
        return " ".join(f"{name}={listener}" for name, listener in self._listeners.addresses.items())

    def _refused(self, reason: str) -> None:
        say(f"configuration refused, the one in force stays: {reason}")
        self._event(events.ConfigurationRefused(reason=reason))
        if not os.access(self._layout.config, os.R_OK):
            self._event(events.FileAccessError(path=str(self._layout.config), reason=reason))

    def _expire_journal(self) -> None:
        """LOG-02: at start and once a day."""
        self._expire_due = time.monotonic() + DAY_S
        try:
            expire(self._layout.journal, self._watch.settings.logging.keep_weeks, datetime.now(UTC))
        except OSError as error:
            say(f"old journal files stay: {error}")

    def _start(self, child: _Child) -> None:
        """A failure counts as a death: it is tried again, with growing delay."""
        child.started_at = time.monotonic()
        child.replaced = ""
        try:
            self._run(child)
        except OSError as error:
            say(f"{child.spec.name} cannot be started, trying again: {error}")
            self._died(child)

    def _run(self, child: _Child) -> None:
        ready_r, ready_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        arguments = [*child.spec.arguments, f"--ready-fd={ready_w}", f"--lifeline-fd={self._lifeline_r}"]
        if child in self._relays():
            arguments.append(f"--channel-fd={theirs.fileno()}")
        try:
            child.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                pass_fds=(*child.spec.descriptors, ready_w, theirs.fileno(), self._lifeline_r),
                stdin=subprocess.DEVNULL,
                env=os.environ | ENVIRONMENT,
            )
        except OSError:
            os.close(ready_r)
            ours.close()
            raise
        finally:
            os.close(ready_w)
            theirs.close()
        child.channel = ours
        child.ready_fd = ready_r
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
            listening = self._listeners.addresses
            with contextlib.suppress(OSError):
                print(f"ready smtp={listening['smtp']} https={listening['https']}", flush=True)

    def _on_signal(self) -> None:
        for number in os.read(self._wake_r, 4096):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                self._hang_up()
            else:
                self._stopping = True

    def _hang_up(self) -> None:
        """SIGHUP: reread now, here and in every process; ports that could not be had are tried again."""
        self._watch.check(self._applied, self._refused, force=True)
        self._listen(self._watch.settings)
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(signal.SIGHUP)

    def _reap(self) -> None:
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            status = child.process.returncode
            reason = f"signal {-status}" if status < 0 else f"exit status {status}"
            reason = child.replaced or reason
            child.process = None
            if child.channel is not None:
                child.channel.close()
                child.channel = None
            self._died(child)
            if child.spec.name.startswith("relay-"):
                self._shared.clear(int(child.spec.name[len("relay-") :]))
            self._event(events.ProcessRestarted(name=child.spec.name, reason=reason))
            say(f"{child.spec.name} ended ({reason}): starting it again")

    def _died(self, child: _Child) -> None:
        now = time.monotonic()
        soon = now - child.started_at < SOON_S and not child.replaced
        child.deaths = child.deaths + 1 if soon else 0
        child.due_at = now + RESTART_DELAYS_S[min(child.deaths, len(RESTART_DELAYS_S) - 1)]

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
        self._event(events.ServiceStopping())
        if self._watch.settings.alerts.stop:
            self._end_pages_first()
        running = [child.process for child in self._children if child.process is not None]
        os.close(self._lifeline_w)
        deadline = time.monotonic() + STOP_PATIENCE_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listeners.close()

    def _end_pages_first(self) -> None:
        """Their process hands the relays, which still run, the mail that says so; else it does at its next start."""
        relays = self._relays()
        pages = [child.process for child in self._children if child.process is not None and child not in relays]
        for process in pages:
            process.terminate()
        deadline = time.monotonic() + LAST_MAIL_PATIENCE_S
        for process in pages:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
