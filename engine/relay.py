"""One relay process: SMTP in, the queue, delivery (`python -m engine.relay`, started by the supervisor)."""

import gc

if __name__ == "__main__":  # what a start makes stays: collections would walk all of it, again and again
    gc.disable()

import argparse
import asyncio
import functools
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

import msgspec
import uvloop

from engine import definitions, events
from engine.alerts import is_written
from engine.by_hand import ByHand
from engine.command import CommandServer
from engine.config import Acceptance, Settings
from engine.delivery.deliver import Deliverer
from engine.delivery.route import Router
from engine.diagnostics.keeper import Keeper
from engine.dns import Resolver
from engine.ids import IdMaker
from engine.journal import JournalWriter
from engine.judge import Judge
from engine.layout import Layout
from engine.limits import LISTENERS
from engine.listening import Entrance, Kind
from engine.named_certificates import pass_over_odd_names
from engine.pipeline import Pipeline
from engine.processing.offers import Offer
from engine.processing.quarantining import Quarantine
from engine.processing.release import Release
from engine.queue.errors import QueueError
from engine.queue.record import Received
from engine.queue.state import MessageState
from engine.queue.store import Draft, Store
from engine.reception import Reception
from engine.replies import Reply
from engine.scanner.pool import ScannerPool
from engine.sender.block_lists import BlockListClient
from engine.smtp.admission import Admission
from engine.smtp.auth import Credentials
from engine.smtp.certificates import Certificates
from engine.smtp.connection import Connection
from engine.smtp.gate import Answer, ClientInfo
from engine.smtp.server import SmtpServer
from engine.smtp.shared import SharedCounts
from engine.smtp.submitters import Submitters
from engine.watch import ConfigWatch, last_good

JOURNAL_DELAY_S = 0.02
TICK_S = 1.0
DEFINITIONS_AGAIN_S = 1.0  # after the first failure while there are none; twice as long after each further one,
DEFINITIONS_AGAIN_MAX_S = 60.0  # up to this
SETTINGS_S = 0.25  # how often changed settings are looked for: they take effect within a second (PROC-15)
CLOCK_JUMP_NS = 5_000_000_000  # less is slewing, and costs nothing

log = logging.getLogger("mailward.relay")


class Relay:
    """The services of one relay and the Gate of its SMTP sessions."""

    def __init__(
        self, root: Path, number: int, count: int, entrances: Sequence[Entrance], shared: SharedCounts
    ) -> None:
        self.layout = Layout(root)
        self.number = number
        self._watch = ConfigWatch(self.layout.config, last_good(self.layout.config, self.layout.in_force))
        self._entrances = entrances
        self._listening: list[asyncio.Server] = []
        self._clock_offset_ns = time.time_ns() - time.monotonic_ns()
        self._ids = IdMaker(number, self.now_ns)
        self._connections = IdMaker(number, self.now_ns)
        loop = asyncio.get_running_loop()
        self.journal = JournalWriter(
            self.layout.journal, f"relay-{number}", lambda flush: loop.call_later(JOURNAL_DELAY_S, flush)
        )
        settings = self.settings
        self.hostname = settings.smtp.hostname or socket.gethostname()
        self._loop = loop
        self.store = Store(self.layout.queue.parent, number, count, report=self._queue_trouble, clock=self.now_ns)
        self.pool = ScannerPool(settings.processes.scanners_per_relay, settings, self.event)
        self.resolver = Resolver(settings.dns.servers, validating=settings.dns.validating)
        self.block_lists = BlockListClient(self.resolver, self.event)
        clients = shared.clients(number)
        self._submitters = Submitters(loop.time, clients)
        self._adopt(settings)
        self._count = count
        self.keeper = Keeper(
            self.layout.diagnostics, number, count, self.store, settings.diagnostics, self._diagnostics_trouble
        )
        self.deliverer = Deliverer(
            settings=self._share_of(settings),
            router=self.router,
            resolver=self.resolver,
            content=self.store.content,
            event=self.event,
            next_connection_id=self.next_connection_id,
            hostname=self.hostname,
            recorder=self.keeper.recorder,
            root=self.layout.root,
            clock_ns=self.now_ns,
            policies=self.layout.policies,
            relays=count,
        )
        judge = Judge(self, self.resolver, self.block_lists, self._is_ours)
        self.quarantine = Quarantine(self, self.store, self.pool, self.layout.quarantine, number, count, self.now_ns)
        self.pipeline = Pipeline(
            self, self.store, self.pool, self.deliverer, judge, self.now_ns, self.keeper.saver, self.quarantine
        )
        self.pipeline.slow.probes = self._probes(settings)
        release = Release(self.layout.quarantine, self.pipeline.submit_pieces, lambda: self.own_address)
        by_hand = ByHand(self.store, self.pipeline, number, count, lambda: self.own_address, release)
        self.commands = CommandServer(self.layout.command_socket(number), by_hand.perform)
        admission: Admission[Connection] = Admission(shared.slots, number, settings.smtp)
        self.server = SmtpServer(self, admission, None, self.hostname, clients, self.now_ns)
        self.certificates = Certificates(self.layout, self.server, self.event, loop.time)
        self.certificates.apply(settings, self._reception.rule.has_tls_names)
        self.server.recorder = self.keeper.recorder
        self._lengths = (-1, -1, -1, -1)  # as told last, and in which minute
        self._definitions_seen: tuple[Path, definitions.Mark | None] | None = None
        self._has_definitions = False
        self._definitions_due, self._definitions_pause_s = math.inf, DEFINITIONS_AGAIN_S
        self._adopting: asyncio.Task[None] | None = None
        self._finding: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settings_timer: asyncio.TimerHandle | None = None

    # --- settings ---------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return self._watch.settings

    @property
    def own_address(self) -> str:
        return self.settings.smtp.own_address(self.hostname).lower()

    def _share_of(self, settings: Settings) -> Settings:
        """This relay's part of the outgoing connections of all (SMTP-05)."""
        share = max(1, settings.smtp.max_outgoing // self._count)
        return msgspec.structs.replace(settings, smtp=msgspec.structs.replace(settings.smtp, max_outgoing=share))

    def _probes(self, settings: Settings) -> int:
        """How many connections may be spent on next hops that did not answer: half of them."""
        return max(1, self._share_of(settings).smtp.max_outgoing // 2)

    def _adopt(self, settings: Settings) -> None:
        listeners = [settings.smtp.listen, *settings.smtp.listeners]
        delivery = settings.delivery
        self.router = Router(
            settings.routing,
            listeners,
            tls=delivery.tls,
            connections=delivery.connections,
            messages_per_minute=delivery.messages_per_minute,
            exempt=delivery.policy_exempt,
        )
        self._reception = Reception(settings, self.router.is_local, self.resolver, self.block_lists, self.hostname)
        named = settings.smtp.submitters
        self._submitters.path = self.layout.root / named if named else None

    def _applied(self, settings: Settings) -> None:
        self.resolver.configure(settings.dns.servers, settings.dns.validating)
        self._adopt(settings)
        self.deliverer.apply(self._share_of(settings), self.router)
        self.pipeline.slow.probes = self._probes(settings)
        self.pool.apply(settings)
        self.server.apply(settings)
        self.certificates.apply(settings, self._reception.rule.has_tls_names)
        self.keeper.apply(settings.diagnostics)
        self.quarantine.apply(settings)
        self.pipeline.settings_changed()
        self.event(events.ConfigurationAdopted(revision=self._watch.revision))

    def _refused(self, reason: str) -> None:
        log.warning("configuration refused, the one in force stays: %s", reason)

    def _look_at_settings(self) -> None:
        self._settings_timer = asyncio.get_running_loop().call_later(SETTINGS_S, self._look_at_settings)
        self._watch.check(self._applied, self._refused)

    def check_files(self, force: bool = False) -> None:
        """Settings, certificate and definitions. force: also where the files look as they did."""
        if force:
            self._watch.check(self._applied, self._refused, force)
        self.certificates.look(force)
        path = self.layout.root / self.settings.antivirus.definitions
        seen = (path, definitions.mark_of(path))
        due = self._loop.time() >= self._definitions_due
        if (force or due or seen != self._definitions_seen) and self._adopting is None:
            self._definitions_seen, self._definitions_due = seen, math.inf
            self._adopting = asyncio.get_running_loop().create_task(self._adopt_definitions(path))
            self._adopting.add_done_callback(self._adopted)

    async def _adopt_definitions(self, path: Path) -> None:
        """A broken file is refused, and the last good one stays in force, also when we have just been started."""
        try:
            fd, copy = await asyncio.to_thread(definitions.copied, path, self.layout.run)
        except definitions.Unsettled:
            self._definitions_seen = None  # look again at the next tick
            return
        except definitions.DefinitionsRefused as error:
            self.event(events.DefinitionsRefused(reason=str(error)))
            self._definitions_refused(path, str(error))
            return
        self.pool.use_definitions(fd, functools.partial(self._definitions_decided, path, copy))

    def _definitions_decided(self, path: Path, copy: Path, refused: str) -> None:
        """What scanners said of a copy of that file. refused: why, or nothing."""
        if refused:
            definitions.drop(copy)
            self._definitions_refused(path, f"{path}: {refused}")
        else:
            self._has_definitions, self._definitions_due = True, math.inf
            self._loop.run_in_executor(None, definitions.keep, copy)

    def _definitions_refused(self, path: Path, reason: str) -> None:
        if not self._has_definitions:
            reason += "; mail is accepted, and waits until definitions can be loaded"
        self.event(events.FileAccessError(path=str(path), reason=reason))
        log.warning("definitions refused: %s", reason)
        if self._has_definitions:
            return
        # It may have been a shortage that has passed, and mail waits.
        self._definitions_due = self._loop.time() + self._definitions_pause_s
        self._definitions_pause_s = min(2 * self._definitions_pause_s, DEFINITIONS_AGAIN_MAX_S)
        if (found := definitions.last_good(self.layout.run)) is not None:
            fd, copy = found
            self.pool.use_definitions(fd, functools.partial(self._definitions_decided, copy, copy))

    def _adopted(self, task: "asyncio.Task[None]") -> None:
        self._adopting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("definitions cannot be loaded", exc_info=error)

    def _queue_trouble(self, words: str) -> None:
        """A file of the queue is damaged or refuses (ALR-10). From any thread."""
        log.warning("%s", words)
        self._loop.call_soon_threadsafe(self.event, events.FileAccessError(path=str(self.layout.queue), reason=words))

    def _diagnostics_trouble(self, words: str) -> None:
        """Nothing can be kept for technicians (ALR-10); mail is not concerned."""
        log.warning("diagnostic files: %s", words)
        self.event(events.FileAccessError(path=str(self.layout.diagnostics), reason=words))

    # --- Gate: what SMTP sessions ask -------------------------------------------------------------

    def event(self, event: events.Event) -> None:
        if is_written(event, self.settings):
            self.journal.write(event)

    def next_smtp_id(self) -> str:
        return self._ids.next()

    def next_connection_id(self) -> str:
        return self._connections.next().lower()

    def room(self) -> asyncio.Future[None] | None:
        return self.pipeline.flow.room()

    def begin(self, received: Received) -> Draft:
        return self.store.begin(received)

    def accepted(self, message: MessageState, client: ClientInfo) -> None:
        self._told_accepted(message)
        self.pipeline.submit(message)

    def _told_accepted(self, message: MessageState) -> None:
        received = message.received
        self.event(
            events.Accepted(
                smtp_id=message.id,
                reverse_path=received.reverse_path,
                forward_paths=tuple(one.address for one in received.recipients),
                size=message.size,
                client=received.client,
                connection_id=received.connection_id,
                submitter=received.submitter,
            )
        )

    def offer(self, draft: Draft, accept: Acceptance, client: ClientInfo) -> Offer | None:
        return self.pipeline.offer(draft, accept, self._told_accepted)

    def refuse_connection(self) -> Reply | None:
        return Reply.REJECTING if self.settings.delivery.reject_incoming else None

    def mail(self, client: ClientInfo, reverse_path: str) -> asyncio.Future[Answer] | None:
        return self._reception.mail(client, reverse_path)

    def rcpt(self, client: ClientInfo, reverse_path: str, forward_path: str) -> Answer | Awaitable[Answer]:
        return self._reception.rcpt(client, reverse_path, forward_path)

    async def _is_ours(self, client: str) -> bool:
        """Whether a client is one of the hosts that may send anywhere: no block list is asked about it (DNSBL-03)."""
        listed = self._reception.rule.is_listed(client, None)
        if listed is None:
            listed = self._reception.rule.is_listed(client, await self.resolver.confirmed_names(client))
        return bool(listed)

    async def authenticate(self, client: ClientInfo, credentials: Credentials) -> Reply | None:
        refusal = await self._submitters.check(client.address, credentials)
        if refusal is not None:
            self.event(
                events.SubmitterRefused(
                    client=client.address,
                    connection_id=client.connection_id,
                    # whatever is no name of an account may be a password in the wrong place
                    submitter=credentials.name if self._submitters.knows(credentials.name) else "",
                    reason=refusal.text,
                )
            )
        return refusal

    def wants_certificate(self, client: ClientInfo) -> bool:
        return self._reception.wants_certificate(client)

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        path = self.layout.root / self.settings.antivirus.definitions
        self._definitions_seen = (path, definitions.mark_of(path))
        await self._adopt_definitions(path)
        await self.quarantine.start()
        await self.pool.start()
        fast = await self.store.open()
        if self.store.newest:
            self._ids.seen(self.store.newest)
        for message in fast:
            self.pipeline.submit(message)
        gc.enable()
        gc.freeze()  # or a collection walks every queued message, and mail waits: 0.6 s for 50,000 of them
        await self.commands.start()
        await self._listen()
        self._finding = asyncio.create_task(self.pipeline.take_found())
        self._finding.add_done_callback(self._found)
        self._look_at_settings()
        self._tick()

    def _found(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the slow queue cannot be read", exc_info=error)
            reason = f"what is in the slow queue is not tried before the next start: {error!r}"
            self.event(events.FileAccessError(path=str(self.layout.queue), reason=reason))

    async def _listen(self) -> None:
        self._listening = [await self.server.start(sock, kind) for sock, kind in self._entrances]

    async def listen_on(self, entrances: Sequence[Entrance]) -> None:
        """Ports were changed: here from now on, and not where it was (SMTP-01). Open connections stay."""
        before, sockets = self._listening, [one.sock for one in self._entrances]
        self._entrances = entrances
        await self._listen()
        for server in before:
            server.close()
        for sock in sockets:
            sock.close()

    async def stop(self) -> None:
        """Sessions get 421, work in hand ends, everything noted is synced (PROC-14)."""
        for timer in (self._timer, self._settings_timer):
            if timer is not None:
                timer.cancel()
        if self._finding is not None:
            self._finding.cancel()
        try:
            await self.server.shut_down()
            await self.commands.stop()
            await self.pipeline.stop()
            await self.deliverer.close()
            await self.pool.stop()
            self._submitters.close()
        finally:
            try:
                await self.store.close()
            finally:
                self.journal.close()

    def _tick(self) -> None:
        """Once a second: definitions that changed, queue lengths that changed, a log that gets too long."""
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._watch_clock()
        self.check_files()
        self.pool.canary.look(self.layout.candidate)
        told = (*self.store.lengths(), int(time.time() // 60))  # once a minute also if nothing changes: charts need it
        if told != self._lengths:
            self._lengths = told
            *lengths, _ = told
            self.event(events.QueueLengths(fast=lengths[0], slow=lengths[1], hold=lengths[2]))
        self.keeper.sweep()
        self.quarantine.sweep()
        self.pipeline.relieve_log()
        self.pipeline.sweep()

    def now_ns(self) -> int:
        """Since 1970, for all that is timed here. A clock that is set counts once everything knows of it: else what
        waits would be returned, or tried late, in the meantime."""
        return time.monotonic_ns() + self._clock_offset_ns

    def _watch_clock(self) -> None:
        offset_ns = time.time_ns() - time.monotonic_ns()
        by_ns, self._clock_offset_ns = offset_ns - self._clock_offset_ns, offset_ns
        if abs(by_ns) > CLOCK_JUMP_NS:
            log.warning("the clock was set by %+.1f s", by_ns / 1e9)
            self.pipeline.clock_moved(by_ns)


async def _run(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()
    shared = SharedCounts.attach(arguments.shared_fd, arguments.count)
    relay = Relay(arguments.root, arguments.number, arguments.count, arguments.listen, shared)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, relay.check_files, True)
    loop.add_reader(arguments.lifeline_fd, ended.set)  # end of file: the supervisor is gone
    channel = socket.socket(fileno=arguments.channel_fd)

    def on_channel() -> None:
        kinds, descriptors, _, _ = socket.recv_fds(channel, LISTENERS, LISTENERS)  # of one message: sockets end it
        if not kinds:
            loop.remove_reader(channel)
            return
        pairs = zip(kinds.decode(), descriptors, strict=True)
        entrances = [Entrance(socket.socket(fileno=fd), Kind.of(code)) for code, fd in pairs]
        tasks.add(task := loop.create_task(relay.listen_on(entrances)))
        task.add_done_callback(tasks.discard)

    starting = asyncio.ensure_future(relay.start())
    ending = asyncio.ensure_future(ended.wait())
    await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        if isinstance(error := starting.exception(), QueueError):
            reason = f"cannot open the queue: {error}"
            relay.event(events.ServiceStartFailed(reason=reason))
            log.error("%s", reason)
            await relay.stop()
            sys.exit(1)
        starting.result()
        os.write(arguments.ready_fd, b"ready")
        loop.add_reader(channel, on_channel)
        await ending
    loop.remove_reader(arguments.lifeline_fd)
    loop.remove_reader(channel)
    starting.cancel()
    await relay.stop()


def _entrance(text: str) -> Entrance:
    """From the letter of its kind and the number of its descriptor."""
    return Entrance(socket.socket(fileno=int(text[1:])), Kind.of(text[0]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="mailward-relay", description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--listen", type=_entrance, action="append", required=True)
    for name in ("number", "count", "shared-fd", "channel-fd", "ready-fd", "lifeline-fd"):
        parser.add_argument(f"--{name}", type=int, required=True)
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s", stream=sys.stderr)
    pass_over_odd_names()
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
