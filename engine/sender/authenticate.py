"""All of sender authentication for one message: SPF, DKIM, ARC, DMARC, in the order that they need each other.

    begun = begin(resolver, settings, envelope)        # as soon as the envelope is known: SPF
    ...                                                # the scanner reads header and claims
    found = await begun.finish(header, claims)         # DKIM, ARC and DMARC policies at once, then DMARC
    begun.close()                                      # or this, if the message goes no further

Mail that an own host hands in, to be sent out or around, is not for this: SPF and DMARC speak of mail that arrives
from elsewhere, and would condemn our own. So nothing is begun for clients that are on the relay list
(`RelayRule.is_listed`); such mail has empty results and no Authentication-Results field.

Nothing here raises or holds mail up: what DNS does not answer is temperror, and `finish` ends within
authentication.timeout_s with what is known by then.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from engine.config import Settings
from engine.dns import Resolver
from engine.policy.evidence import Authentication, Envelope, Header, Signature
from engine.scan.claims import Claims
from engine.sender import arc, dkim, dmarc, spf

T = TypeVar("T")
log = logging.getLogger(__name__)

_ASKING_SHARE: Final = 0.8  # of the time: a key or policy that never comes leaves time to tell what others say


class Begun:
    """What is being asked about one message. Ended by `finish` or by `close`."""

    def __init__(self, resolver: Resolver, settings: Settings, envelope: Envelope) -> None:
        self._resolver = resolver
        self._settings = settings.authentication
        self._envelope = envelope
        self._tasks: list[asyncio.Task[Any]] = []
        self._spf = self._start(spf.check(resolver, envelope.client, envelope.helo, envelope.reverse_path))

    async def finish(self, header: Header, claims: Claims) -> Authentication:
        """The results, within timeout_s. Called once. Raises nothing but for cancellation."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        resolver, trusted = self._resolver, self._settings.trusted_sealers
        asking_s = self._settings.timeout_s * _ASKING_SHARE
        signing = sealing = None
        if claims.signatures or claims.left_out:
            signing = self._start(dkim.verify(resolver, claims, timeout_s=asking_s))
        if claims.arc is not None:
            sealing = self._start(arc.verify(resolver, claims, trusted, timeout_s=asking_s))
        try:
            # Here and not in a task: if the cache answers, a task would cost as much as the question.
            unknown = [dmarc.Finding(one, problem="temperror") for one in dmarc.domains_of(header.senders)[:1]]
            findings = await _by(deadline, dmarc.discover(resolver, header.senders, asking_s), unknown)
            await self._settle(deadline)
            _, named = spf.identity(self._envelope.helo, self._envelope.reverse_path)
            result, domain = _result(self._spf, ("temperror", named))
            late = tuple(
                Signature(one.domain, one.selector, "temperror", "DNS did not answer in time")
                for one in claims.signatures
            )
            signatures = _result(signing, late) if signing is not None else ()
            chain = _result(sealing, arc.Chain("fail", reason="DNS did not answer in time")) if sealing else arc.Chain()
            verdict = dmarc.Verdict("temperror", findings[0].domain if findings else "")
            judging = dmarc.evaluate(resolver, findings, result, domain, signatures)
            verdict = await _by(deadline, judging, verdict)
        finally:
            self.close()
        return Authentication(
            spf=result,
            spf_domain=domain,
            dkim=signatures,
            dmarc=verdict.result,
            dmarc_domain=verdict.domain,
            dmarc_policy=verdict.policy,
            arc=chain.result if claims.arc is not None else "",
            arc_sealer=chain.sealer if chain.trusted else "",
            arc_dmarc=chain.dmarc if chain.trusted else "",
        )

    async def _settle(self, deadline: float) -> None:
        left = [task for task in self._tasks if not task.done()]
        if left:
            await asyncio.wait(left, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))

    def close(self) -> None:
        """Nobody wants to know any more. May be called more than once."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        return task


def begin(resolver: Resolver, settings: Settings, envelope: Envelope) -> Begun:
    """Starts what needs only the envelope. For mail from outside, if wanted.is_wanted."""
    return Begun(resolver, settings, envelope)


async def authenticate(
    resolver: Resolver, settings: Settings, envelope: Envelope, header: Header, claims: Claims
) -> Authentication:
    """Both parts at once. Never raises on answers of DNS: what cannot be told is temperror."""
    return await begin(resolver, settings, envelope).finish(header, claims)


async def _by(deadline: float, work: Coroutine[Any, Any, T], otherwise: T) -> T:
    """What work finds by then; a defect of ours holds no mail up, but is logged."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError:
        return otherwise
    except Exception as error:
        log.error("a check of the sender failed", exc_info=error)
        return otherwise


def _result(task: "asyncio.Task[T]", otherwise: T) -> T:
    """As _by, for a task that has had its time."""
    if not task.done() or task.cancelled():
        return otherwise
    if (error := task.exception()) is not None:
        log.error("a check of the sender failed", exc_info=error)
        return otherwise
    return task.result()
