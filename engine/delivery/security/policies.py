"""The MTA-STS policies of the domains that mail is sent to (RFC 8461): found, fetched, kept.

Kept in a directory that all relays share, a file for each domain, so that a restart takes no protection from anybody:
whoever can block the fetch must not get mail in the clear that came protected before. A policy that is held goes on to
hold while a newer one cannot be fetched, until its max_age is over. Mail waits for a fetch only where no policy is
held, and not long: without an answer it goes as if there was none (s3.3), and the fetch goes on.
"""

import asyncio
import hashlib
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from engine import limits
from engine.delivery.security.fetch import FetchError, fetch
from engine.delivery.security.policy import Policy, PolicyError, parse, record_id
from engine.delivery.security.results import Kind, result
from engine.dns import DnsFailure, Resolver
from engine.durable import put
from engine.events import TlsResult

log = logging.getLogger(__name__)

RECORD_S: Final = 5.0  # for the record in DNS
PATIENCE_S: Final = 10.0  # that mail waits for a policy
FETCH_S: Final = 60.0  # RFC 8461 s3.3
AGAIN_S: Final = 300.0  # after a fetch that failed (RFC 8461 s3.3)
REFRESH_S: Final = 86_400.0  # RFC 8461 s3.3: once a day


class Kept(msgspec.Struct, frozen=True):
    """A file of the directory. fetched: seconds since 1970."""

    domain: str
    fetched: float
    policy: Policy

    def holds(self, now: float) -> bool:
        return self.fetched <= now + 60 and now < self.fetched + self.policy.max_age_s

    def is_old(self, now: float) -> bool:
        return now >= self.fetched + min(REFRESH_S, self.policy.max_age_s / 2)


def held(directory: Path, domain: str) -> Policy | None:
    """The policy of a domain that was fetched last, whether it holds or not; None: there is none to be read."""
    try:
        kept = _read(directory, domain)
    except (OSError, msgspec.MsgspecError):
        return None
    return kept.policy if kept is not None else None


def _path(directory: Path, domain: str) -> Path:
    return directory / f"{hashlib.sha256(domain.encode()).hexdigest()[:40]}.json"


def _read(directory: Path, domain: str) -> Kept | None:
    """Raises OSError, MsgspecError."""
    try:
        kept = msgspec.json.decode(_path(directory, domain).read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    return kept if kept.domain == domain else None


class Policies:
    """directory: where policies are kept; None: in memory only. context: for fetches; raises OSError. clock: seconds
    since 1970. port: of the servers that have the policies."""

    def __init__(
        self,
        resolver: Resolver,
        directory: Path | None,
        context: Callable[[], ssl.SSLContext],
        event: Callable[[TlsResult], None],
        clock: Callable[[], float] = time.time,
        port: int = 443,
    ) -> None:
        self._resolver = resolver
        self._directory = directory
        self._context = context
        self._event = event
        self._clock = clock
        self.port = port
        self._kept: dict[str, Kept | None] = {}
        self._failed: dict[str, float] = {}  # domain -> when a fetch may be tried again
        self._fetching: dict[str, asyncio.Task[Policy | None]] = {}
        self._files = -1  # in the directory, roughly; -1: not counted yet

    async def of(self, domain: str) -> Policy | None:
        """What the domain (an A-label name) wants now, or None. Never raises but for cancellation."""
        record = await self._record(domain)
        now = self._clock()
        kept = self._known(domain, now)
        if not record or (kept is not None and kept.policy.id == record and not kept.is_old(now)):
            return kept.policy if kept is not None else None
        task = self._fetch_later(domain, record, now)
        if kept is not None or task is None:
            return kept.policy if kept is not None else None
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(task)
        except TimeoutError:
            return None

    async def close(self) -> None:
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _record(self, domain: str) -> str:
        """Its id; empty if there is none, or DNS does not answer: then what is held goes on to hold."""
        try:
            async with asyncio.timeout(RECORD_S):
                found = await self._resolver.texts(f"_mta-sts.{domain}")
        except (DnsFailure, TimeoutError):
            return ""
        return record_id(found or ())

    def _fetch_later(self, domain: str, record: str, now: float) -> "asyncio.Task[Policy | None] | None":
        """The fetch that is under way or begins now; None: one failed a short time ago."""
        task = self._fetching.get(domain)
        if task is not None:
            return task
        again = self._failed.get(domain, 0.0)
        if now < again <= now + AGAIN_S or len(self._fetching) >= limits.STS_FETCHES:
            return None
        task = self._fetching[domain] = asyncio.get_running_loop().create_task(self._fetch(domain, record))
        task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return task

    async def _fetch(self, domain: str, record: str) -> Policy | None:
        try:
            async with asyncio.timeout(FETCH_S):
                octets = await fetch(self._resolver, domain, self._context(), self.port)
            policy = parse(octets, record)
        except (FetchError, PolicyError, OSError) as error:  # OSError: authorities that cannot be read, and time-outs
            self._failed.pop(domain, None)
            self._failed[domain] = self._clock() + AGAIN_S
            if len(self._failed) > limits.STS_POLICIES:
                del self._failed[next(iter(self._failed))]
            found = "sts-policy-invalid" if isinstance(error, PolicyError) else "sts-policy-fetch-error"
            if isinstance(error, FetchError) and error.untrusted:
                found = "sts-webpki-invalid"
            reason = str(error) or f"no answer within {FETCH_S:g} s"
            self._event(result(domain, Kind.STS, found, reason=reason))
            return None
        self._failed.pop(domain, None)
        kept = Kept(domain, self._clock(), policy)
        self._remember(domain, kept)
        await asyncio.to_thread(self._save, kept)
        return policy

    # --- kept -----------------------------------------------------------------------------------------

    def _known(self, domain: str, now: float) -> Kept | None:
        """From memory, or what this relay or another one has put into the directory."""
        kept = self._kept.get(domain)
        if kept is None and domain not in self._kept:
            kept = self._load(domain)
            self._remember(domain, kept)
        return kept if kept is not None and kept.holds(now) else None

    def _remember(self, domain: str, kept: Kept | None) -> None:
        self._kept.pop(domain, None)
        self._kept[domain] = kept
        if len(self._kept) > limits.STS_POLICIES:
            del self._kept[next(iter(self._kept))]

    def _load(self, domain: str) -> Kept | None:
        if self._directory is None:
            return None
        try:
            return _read(self._directory, domain)
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the MTA-STS policy of %s on disk cannot be read, it is fetched again: %s", domain, error)
            return None

    def _save(self, kept: Kept) -> None:
        if self._directory is None:
            return
        path = _path(self._directory, kept.domain)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._make_room(path.parent)
            put(path, msgspec.json.encode(kept))
        except OSError as error:
            log.warning("the MTA-STS policy of %s is kept in memory only: %s", kept.domain, error)

    def _make_room(self, directory: Path) -> None:
        """Names of domains are chosen by strangers: of too many, the oldest tenth goes."""
        if 0 <= self._files < limits.STS_POLICIES:
            self._files += 1
            return
        ages = sorted((path.stat().st_mtime, path) for path in directory.glob("*.json"))
        if len(ages) >= limits.STS_POLICIES:
            gone = ages[: len(ages) - limits.STS_POLICIES * 9 // 10]
            for _, path in gone:
                path.unlink(missing_ok=True)
            ages = ages[len(gone) :]
        self._files = len(ages) + 1
