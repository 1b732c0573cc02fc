"""Mail that the gateway is given to send goes out, once, whatever is paused (NTF-00, DLV-01, GAP-44)."""

import errno
from pathlib import Path

import pytest

from engine import events, limits
from engine.config import Delivery, Settings
from engine.queue.errors import QueueFull
from engine.queue.record import Result
from engine.queue.state import SLOW
from tests.engine.pipeline_room import HOUR_NS, Room, run

PAUSED = Settings(delivery=Delivery(pause=True, retry_first_s=600))
MAIL = b"Subject: Virus detected\r\n\r\nA virus was found.\r\n"


def test_is_sent_as_it_is_and_while_paused(tmp_path: Path) -> None:
    """GAP-44, SMTP-09: not scanned, with the null reverse-path, and nobody answers it."""

    async def test(room: Room) -> None:
        room.settings = PAUSED
        other = await room.accept()
        smtp_id = await room.pipeline.submit_own(("a@example.com", "b@example.com"), MAIL)
        await room.until(lambda: room.sent, "sent")
        ((received, content),) = room.sent
        assert (received.id, content, received.reverse_path) == (smtp_id, MAIL, "")
        assert [(one.address, one.notify) for one in received.recipients] == [
            ("a@example.com", "NEVER"), ("b@example.com", "NEVER"),
        ]  # fmt: skip
        assert not room.examined and other.pending

    run(tmp_path, test)


def test_is_retried_while_paused(tmp_path: Path) -> None:
    """DLV-01: from the slow queue too, where other mail waits."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        other = await room.accept()
        await room.until(lambda: other.place == SLOW and not room.pipeline._tasks, "slow")
        room.settings = PAUSED
        smtp_id = await room.pipeline.submit_own(("a@example.com",), MAIL)
        await room.until(lambda: len(room.attempted) == 2 and not room.pipeline._tasks, "tried")
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.sent, "sent")
        assert room.sent[0][0].id == smtp_id
        assert [one for one, _ in room.attempted].count(other.id) == 1
        room.settings = Settings()
        room.pipeline.settings_changed()
        await room.until(lambda: other.done, "the other one goes on")

    run(tmp_path, test)


@pytest.mark.parametrize("require_tls", [True, False])
def test_a_notice_of_mail_that_requires_tls_does_so_too(tmp_path: Path, require_tls: bool) -> None:
    """DLV-06, RFC 8689 s5: and it carries the header alone, whatever RET says."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.DELIVERED if address == "a@example.org" else Result.FAILED
        await room.accept(sender="a@example.org", require_tls=require_tls, ret="FULL")
        await room.until(lambda: room.sent, "the bounce")
        ((received, content),) = room.sent
        assert received.require_tls is require_tls and received.reverse_path == ""
        assert (b"text/rfc822-headers" in content) is require_tls

    run(tmp_path, test)


def test_a_bounce_is_not_paused(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.FAILED if "no" in address else Result.DELIVERED
        room.scan_gate.clear()
        await room.accept("no@example.com")
        await room.until(lambda: room.examined, "in work")
        room.settings = PAUSED
        room.scan_gate.set()
        await room.until(lambda: room.sent, "its bounce is out")
        assert room.sent[0][0].recipients[0].address == "sender@example.net"

    run(tmp_path, test)


def test_a_word_is_queued_once(tmp_path: Path) -> None:
    """NTF-00: asking again does no harm, also after a restart, as long as it waits."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING
        first = await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-1")
        assert await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-1") == first
        assert await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-2") != first
        assert await room.pipeline.submit_own(("a@example.com",), MAIL) != await room.pipeline.submit_own(
            ("a@example.com",), MAIL
        )
        await room.until(lambda: not room.pipeline._tasks, "tried")
        await room.die_and_start()
        assert await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-1") == first

    run(tmp_path, test)


def test_words_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest word is forgotten when there is one more than limits.OWN_MAIL_WORDS."""
    monkeypatch.setattr(limits, "OWN_MAIL_WORDS", 3)

    async def test(room: Room) -> None:
        ids = [await room.pipeline.submit_own(("a@example.com",), MAIL, word) for word in "abcd"]
        assert [await room.pipeline.submit_own(("a@example.com",), MAIL, word) for word in "bcd"] == ids[1:]
        assert await room.pipeline.submit_own(("a@example.com",), MAIL, "a") not in ids

    run(tmp_path, test)


def test_what_found_no_room_may_be_asked_for_again(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        with pytest.raises(QueueFull):
            await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-1")
        room.disk.heal()
        await room.pipeline.submit_own(("a@example.com",), MAIL, "alert-1")
        await room.until(lambda: room.sent, "sent")

    run(tmp_path, test)


def test_mail_to_our_own_account_is_never_delivered(tmp_path: Path) -> None:
    """SMTP-11, PROC-27, GAP-05: from whoever it is, in any case of letters; only exact matches."""

    async def test(room: Room) -> None:
        message = await room.accept(room.own_address.title(), f"x{room.own_address}", sender="")
        await room.until(lambda: message.done, "done")
        assert message.results == [Result.SUPPRESSED, Result.DELIVERED]
        (suppressed,) = room.said(events.DeliverySuppressed)
        assert suppressed.forward_path == room.own_address.title()
        assert not room.said(events.Bounced) and len(room.sent) == 1

    run(tmp_path, test)
