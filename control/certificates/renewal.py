"""When the authority is asked for a certificate by ACME, and what comes of it (CERT-05).

It is asked when ACME is switched on, when the names change, and when a third of the certificate's life is left, which
is some time before anybody is hurt. After a failure it is asked again, with growing pauses: authorities count failures.
A failure is told by an event and an alert, and leaves what is in force as it is.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from control.certificates import request
from control.certificates.account import Account, NotIssued
from control.certificates.challenges import Challenges
from control.certificates.keeper import Keeper
from control.certificates.material import Unfit
from control.kept import Kept
from engine import events
from engine.certificate import Source
from engine.config import Acme, Settings
from engine.layout import Layout

FILE_NAME: Final = "acme.json"
POLL_S: Final = 5.0
AGAIN_S: Final = (300.0, 1800.0, 7200.0, 43_200.0)  # after the first failure, the second, and so on
ACTOR: Final = "ACME"
log = logging.getLogger(__name__)


class Memory(msgspec.Struct, frozen=True):
    """Outlasts a restart, so that one cannot be used to ask too often. asked: for what. again_at: since 1970."""

    account: Account | None = None
    asked: str = ""
    failures: int = 0
    again_at: float = 0.0
    problem: str = ""


class Renewal:
    """Use `step` alone, or `start` and `stop` for a thread. clock: seconds since 1970."""

    def __init__(
        self,
        layout: Layout,
        settings: Callable[[], Settings],
        keeper: Keeper,
        challenges: Challenges,
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._root = layout.root
        self._settings = settings
        self._keeper = keeper
        self._challenges = challenges
        self._event = event
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._kept = Kept(layout.tls / FILE_NAME, Memory)  # without it an account can be registered again

    # --- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        threading.Thread(target=self._run, name="acme", daemon=True).start()

    def stop(self) -> None:
        """An order that is under way is left to itself: the next start asks anew."""
        self._stopping = True
        self._wake.set()

    def ask_now(self) -> None:
        """Do not wait for the end of a pause. Raises OSError."""
        with self._lock:
            self._keep(msgspec.structs.replace(self._memory, again_at=0.0))
        self._wake.set()

    @property
    def memory(self) -> Memory:
        """problem: also that nothing is asked for, since it cannot be read."""
        if self._kept.problem:
            return Memory(problem=f"{self._kept.problem}. Until then nothing is asked for.")
        return self._memory

    @property
    def _memory(self) -> Memory:
        return self._kept.value

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.step()
            except Exception:  # a bug in here must not end what asks for certificates
                log.exception("no certificate is asked for, trying again")
                self._wait(AGAIN_S[0])
            self._wait(POLL_S)

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    # --- what is done -------------------------------------------------------------------------------

    def step(self) -> None:
        """Ask for a certificate if it is time to. Raises OSError if what happened cannot be kept."""
        settings = self._settings().web.acme
        if not settings.enabled or not self._kept.is_read():
            return
        names = tuple(request.plain_name(name) for name in settings.names) or self._keeper.host_names()
        asked = " ".join((settings.directory, settings.email, *names))
        with self._lock:
            if not self._is_due(names, asked):
                return
            self._keep(msgspec.structs.replace(self._memory, asked=asked))
        try:
            self._ask(settings, names)
        except (NotIssued, Unfit, OSError) as error:
            self._failed(names, str(error))

    def _is_due(self, names: tuple[str, ...], asked: str) -> bool:
        now, memory = self._clock(), self._memory
        waits = now < memory.again_at <= now + AGAIN_S[-1]  # not longer, should the clock be set back
        if waits and memory.asked == asked:
            return False
        found = self._keeper.installed()
        if found is None or found.source is not Source.ACME or set(found.names) != set(names):
            return True
        return found.expires.timestamp() - now < (found.expires - found.begins).total_seconds() / 3

    def _ask(self, settings: Acme, names: tuple[str, ...]) -> None:
        if not names:
            words = "The gateway has no name that an authority could check: set smtp.hostname or web.acme.names."
            raise NotIssued(words)
        from control.certificates import acme  # dear, and wanted every two months

        account = self._memory.account
        if account is None or account.directory != settings.directory:
            account = acme.new_account(settings.directory)
        authorities = self._root / settings.authorities if settings.authorities else None
        issued = acme.issue(settings, names, account, self._registered, self._challenges, authorities)
        done = self._keeper.install_issued(issued.key, issued.pem)
        with self._lock:
            again_at = self._clock() + AGAIN_S[-1]  # whatever the authority made of our names
            self._keep(Memory(self._memory.account, self._memory.asked, again_at=again_at))
        expires = f"{done.installed.expires:%Y-%m-%d}"
        how = f"issued by {done.installed.issuer} for {', '.join(names)}; expires {expires}"
        self._event(events.ObjectModified(object="TLS certificate", user=ACTOR, client="", modification=how))

    def _registered(self, account: Account) -> None:
        with self._lock:
            self._keep(msgspec.structs.replace(self._memory, account=account))

    def _failed(self, names: tuple[str, ...], reason: str) -> None:
        with self._lock:
            failures = self._memory.failures + 1
            pause_s = AGAIN_S[min(failures, len(AGAIN_S)) - 1]
            again_at = self._clock() + pause_s
            self._keep(msgspec.structs.replace(self._memory, failures=failures, again_at=again_at, problem=reason))
        found = self._keeper.installed()
        expires = found.expires.isoformat(timespec="seconds") if found else ""
        self._event(events.CertificateNotRenewed(names=names, reason=reason, expires=expires))

    def _keep(self, memory: Memory) -> None:
        self._kept.keep(memory)
