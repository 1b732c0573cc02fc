"""Logs of outbound conversations over real sockets (DIAG-03..12)."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.config import ConversationLog, DataStream, Diagnostics, ErrorClass, LogLevel
from engine.diagnostics.recorder import Recorder
from engine.diagnostics.room import Room as Files
from engine.queue.record import Result
from tests.engine.delivery.peers import FULL, Answer, Hop, Room, mail, run, self_signed, settings_for

START_NS = 1_900_000_000 * 1_000_000_000
CLASSES = list(ErrorClass)[1:]


class Logs:
    """A recorder and what it wrote."""

    def __init__(
        self,
        tmp_path: Path,
        level: LogLevel = LogLevel.ALL,
        errors: ErrorClass = ErrorClass.ALL,
        data: DataStream = DataStream.IGNORE,
    ) -> None:
        self.room = Files(tmp_path / "diag", 1, lambda id_: True, print)
        self.room.apply(16)
        diagnostics = Diagnostics(outbound=ConversationLog(level, errors, data))
        self.recorder = Recorder(self.room, diagnostics, lambda: START_NS)

    def texts(self) -> dict[str, str]:
        """Without times, by `id.number-peer`."""
        return {
            path.name[26:-4]: re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d\d\d ", "", path.read_text())
            for path in sorted(self.room.directory.glob("*"))
        }


def test_one_log_for_each_attempt(tmp_path: Path) -> None:
    """DIAG-10: opening the connection belongs to the first attempt on it."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path)
        hop = await room.hop(("8BITMIME",))
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        first, second = mail("to@example.com"), mail("to@example.com")
        await out.deliverer.deliver(first)
        await out.deliverer.deliver(second)
        one, two = logs.texts().items()
        peer = f"127.0.0.1_{hop.port}"
        assert (one[0], two[0]) == (f"out0000000001.1-{peer}", f"out0000000001.2-{peer}")
        dialogue = [
            "C: MAIL FROM:<from@example.org> BODY=8BITMIME", "S: 250 2.0.0 ok", "C: RCPT TO:<to@example.com>",
            "S: 250 2.0.0 ok", "C: DATA", "S: 354 go on", "S: 250 2.0.0 queued", "-- the attempt is over",
        ]  # fmt: skip
        assert one[1].splitlines()[2:] == [
            "S: 220 hop.example ESMTP", "C: EHLO gw.example.net", "S: 250-hop.example", "S: 250 8BITMIME",
            f"-- message {first.id}", *dialogue,
        ]  # fmt: skip
        assert two[1].splitlines()[2:] == [
            "-- on a connection that was kept open", f"-- message {second.id}", *dialogue
        ]  # fmt: skip

    run(test)


def test_nothing_is_written_by_default(tmp_path: Path) -> None:
    """DIAG-03."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path)
        logs.recorder.apply(Diagnostics())
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        assert logs.texts() == {}

    run(test)


def protocol(hop: Hop) -> None:
    hop.answers["CONTENT"] = lambda line: b"nonsense\r\n"


def unsupported(hop: Hop) -> None:
    hop.answers["MAIL"] = lambda line: b"504 5.5.4 what is BODY?\r\n"


def local(hop: Hop) -> None:
    hop.answers["RCPT"] = lambda line: b"550 5.1.1 nobody of this name\r\n"


def communication(hop: Hop) -> None:
    hop.answers["CONTENT"] = lambda line: None


ERRORS: dict[ErrorClass, Callable[[Hop], None]] = {
    ErrorClass.COMMUNICATION: communication,
    ErrorClass.PROTOCOL: protocol,
    ErrorClass.LOCAL: local,
    ErrorClass.UNSUPPORTED: unsupported,
}


@pytest.mark.parametrize("wanted", ErrorClass)
def test_a_log_is_kept_if_an_error_of_the_chosen_class_happened(tmp_path: Path, wanted: ErrorClass) -> None:
    """DIAG-04, DIAG-05, DIAG-06, DIAG-07, DIAG-08, DIAG-13."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, LogLevel.ON_ERROR, wanted)
        kept: list[ErrorClass] = []
        for error in (None, *CLASSES):
            hop = await room.hop(("8BITMIME",))
            if error:
                ERRORS[error](hop)
            before = set(logs.texts())
            out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
            (attempt,) = await out.deliverer.deliver(mail("to@example.com"))
            assert (attempt.result is Result.DELIVERED) is (error is None)
            for name in logs.texts().keys() - before:
                assert error and f"!! {error} error" in logs.texts()[name]
                kept.append(error)
        assert kept == (CLASSES if wanted is ErrorClass.ALL else [wanted])

    run(test)


def test_a_next_hop_that_is_not_there(tmp_path: Path) -> None:
    """DIAG-06, DIAG-10: an attempt that got no connection is one, too."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, LogLevel.ON_ERROR, ErrorClass.COMMUNICATION)
        hop = await room.hop()
        await hop.stop()
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        (text,) = logs.texts().values()
        assert f"!! communication error: 4.4.1 connecting to [127.0.0.1]:{hop.port}: Connection refused" in text

    run(test)


@pytest.mark.parametrize("data", DataStream)
@pytest.mark.parametrize("capabilities", [FULL, ("PIPELINING",), ("CHUNKING",), ()])
def test_content(tmp_path: Path, data: DataStream, capabilities: tuple[str, ...]) -> None:
    """DIAG-09, DIAG-11: as it is sent: with the field that we add and with dots stuffed, so other than inbound."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, data=data)
        hop = await room.hop(capabilities)
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        (text,) = logs.texts().values()
        sent = hop.taken[0].content
        dots = "CHUNKING" not in capabilities
        stuffed = re.sub(rb"(?m)^\.", b"..", sent) + b".\r\n" if dots else sent
        lines, octets = stuffed.count(b"\n"), len(stuffed)
        assert (f"-- data: {lines} lines, {octets} octets\n" in text) is (data is not DataStream.IGNORE)
        shown = re.findall("(?m)^D: (.*)$", text)
        expected = stuffed.decode().replace("\t", "\\x09").split("\r\n")[:-1] if data is DataStream.ECHO else []
        assert shown == expected
        assert ("C: DATA" in text) is dots

    run(test)


@pytest.mark.parametrize("capabilities", [FULL, ()])
def test_large_content_in_pieces(tmp_path: Path, capabilities: tuple[str, ...]) -> None:
    """DIAG-09, DIAG-11: each chunk is summed up, or all of DATA at once."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, data=DataStream.SUMMARIZE)
        hop = await room.hop(capabilities)
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        content = b"\r\n" + b"".join(b".%076d\r\n" % number for number in range(20_000))
        await out.deliverer.deliver(mail("to@example.com", content=content))
        (text,) = logs.texts().values()
        counts = [(int(one), int(two)) for one, two in re.findall(r"-- data: (\d+) lines, (\d+) octets", text)]
        dots = 0 if "CHUNKING" in capabilities else 20_000 + 3
        assert sum(octets for _, octets in counts) == len(hop.taken[0].content) + dots
        assert (len(counts) > 1) is ("CHUNKING" in capabilities) is ("C: BDAT" in text)

    run(test)


def test_tls_is_noted_and_its_failure_an_error(tmp_path: Path) -> None:
    """DIAG-06: the host is tried again in the clear, which is an attempt of its own."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path)
        hop = await room.hop(("STARTTLS", *FULL))
        hop.context = self_signed()
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        (good,) = logs.texts().values()
        assert "C: STARTTLS\nS: 220 2.0.0 go on\n-- TLS begins: TLSv1.3 TLS_" in good
        logs = Logs(tmp_path / "second")
        broken = await room.hop(("STARTTLS", *FULL))
        broken.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate
        out = room.outbound(settings_for(broken.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        failed, clear = logs.texts().values()
        assert re.search(r"(?m)^!! communication error: 4\.(7\.5|4\.2) .*\n-- ", failed) and "MAIL" not in failed
        assert "STARTTLS" not in re.findall("(?m)^C: (.*)$", clear) and "250 2.0.0 queued" in clear

    run(test)


def test_a_host_that_lacks_what_the_message_needs(tmp_path: Path) -> None:
    """DIAG-08."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, LogLevel.ON_ERROR, ErrorClass.LOCAL)
        hop = await room.hop(("SIZE 10",))
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        (text,) = logs.texts().values()
        assert "!! local error: 5.3.4 the next hop takes at most 10 octets" in text

    run(test)


def test_a_connection_that_died_while_it_was_kept(tmp_path: Path) -> None:
    """DIAG-10: each attempt has its log, also the one on a dead connection."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path)
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        await out.deliverer.deliver(mail("to@example.com"))
        answered: list[str] = []

        def once(line: str) -> Answer:
            answered.append(line)
            return None if len(answered) == 1 else b"250 2.0.0 ok\r\n"

        hop.answers["MAIL"] = once
        await out.deliverer.deliver(mail("to@example.com"))
        assert len(hop.taken) == 2
        assert [name.partition("-")[0] for name in logs.texts()] == [
            "out0000000001.1", "out0000000001.2", "out0000000002.1"
        ]  # fmt: skip

    run(test)


def test_a_full_disk_costs_the_log_and_nothing_else(tmp_path: Path) -> None:
    """DIAG-02."""

    async def test(room: Room) -> None:
        logs = Logs(tmp_path, data=DataStream.ECHO)
        logs.room.directory.write_text("in the way")
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port), recorder=logs.recorder)
        (attempt,) = await out.deliverer.deliver(
            mail("to@example.com", content=b"Subject: x\r\n\r\n" + b"y\r\n" * 9000)
        )
        assert attempt.result is Result.DELIVERED

    run(test)
