"""Delivery over real sockets: results per recipient, odd next hops, TLS, kept connections."""

import asyncio
import email
import ssl

import pytest

from engine import limits
from engine.config import Route
from engine.delivery.trace import received_field
from engine.events import ConnectedTo, ConnectionClosed, Converted, Delivered, DeliveryDeferred, DeliveryFailed
from engine.queue.record import Attempt, Recipient, Result, Splice
from tests.engine.delivery.peers import (
    CONTENT,
    FULL,
    Mail,
    Room,
    mail,
    run,
    self_signed,
    settings_for,
    until,
)

BIG = b"Subject: big\r\n\r\n" + b"".join(b".%076d\r\n" % number for number in range(40_000))
PLAIN = ("8BITMIME",)


def results(attempts: list[Attempt]) -> list[Result]:
    return [attempt.result for attempt in attempts]


def without(*keywords: str) -> tuple[str, ...]:
    return tuple(keyword for keyword in FULL if keyword.split()[0] not in keywords)


@pytest.mark.parametrize(
    "capabilities", [FULL, without("CHUNKING"), without("PIPELINING"), without("PIPELINING", "CHUNKING"), PLAIN]
)
@pytest.mark.parametrize("content", [CONTENT, BIG, b"", b"Subject: no line end\r\n\r\nx\r\n"])
def test_content_arrives_byte_identical(capabilities: tuple[str, ...], content: bytes) -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(capabilities)
        out = room.outbound(settings_for(hop.port))
        message = mail("to@example.com", content=content)
        attempts = await out.deliverer.deliver(message)
        assert results(attempts) == [Result.DELIVERED]
        assert attempts[0].reply == "250 2.0.0 queued"
        assert attempts[0].next_hop == f"[127.0.0.1]:{hop.port}"
        assert hop.taken[0].body == content
        assert hop.taken[0].content == received_field(message.received, "gw.example.net") + content

    run(test)


def test_small_message_goes_out_in_one_write() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        await out.deliverer.deliver(mail("to@example.com"))
        before = len(hop.writes)
        await out.deliverer.deliver(mail("to@example.com"))
        assert len(hop.writes) == before + 1
        assert hop.connections == 1

    run(test)


def test_splices_are_counted_in_the_size_that_is_declared() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(without("CHUNKING"))
        out = room.outbound(settings_for(hop.port))
        message = mail("to@example.com", content=BIG)
        message.splices = (Splice(0, 12, b"X-Edited: yes\r\nSubject: less"), Splice(100, 3000, b""))
        assert results(await out.deliverer.deliver(message)) == [Result.DELIVERED]
        taken = hop.taken[0]
        assert taken.body == b"".join(bytes(piece) for piece in message.pieces())
        assert f"SIZE={len(taken.content)}" in taken.mail

    run(test)


@pytest.mark.parametrize("content", [CONTENT, BIG])
def test_results_go_above_received(content: bytes) -> None:
    """PROC-24, RFC 8601 s4: and count in the size that is declared."""

    async def test(room: Room) -> None:
        hop = await room.hop(without("CHUNKING"))
        out = room.outbound(settings_for(hop.port))
        message = mail("to@example.com", content=content)
        message.authentication_results = "gw.example.net; spf=pass smtp.mailfrom=a@example.com"
        assert results(await out.deliverer.deliver(message)) == [Result.DELIVERED]
        taken = hop.taken[0]
        field = b"Authentication-Results: gw.example.net;\r\n\tspf=pass smtp.mailfrom=a@example.com\r\n"
        assert taken.content == field + received_field(message.received, "gw.example.net") + content
        assert f"SIZE={len(taken.content)}" in taken.mail

    run(test)


def test_each_recipient_has_its_own_result_proc_11() -> None:
    def rcpt(line: str) -> bytes:
        if "gone" in line:
            return b"550 5.1.1 no such user\r\n"
        return b"451 4.2.0 busy\r\n" if "busy" in line else b"250 2.1.5 ok\r\n"

    async def test(room: Room) -> None:
        for capabilities in (FULL, without("CHUNKING"), PLAIN):
            hop = await room.hop(capabilities)
            hop.answers["RCPT"] = rcpt
            out = room.outbound(settings_for(hop.port))
            message = mail("a@example.com", "gone@example.com", "busy@example.com", "b@example.com")
            message.results[3] = Result.DELIVERED
            attempts = await out.deliverer.deliver(message)
            assert [attempt.recipient for attempt in attempts] == [0, 1, 2]
            assert results(attempts) == [Result.DELIVERED, Result.FAILED, Result.PENDING]
            assert attempts[1].reply == "550 5.1.1 no such user"
            assert len(hop.taken) == 1
            assert [event.forward_path for event in out.named(Delivered)] == ["a@example.com"]
            assert [event.reason for event in out.named(DeliveryFailed)] == ["550 5.1.1 no such user"]
            assert [event.reason for event in out.named(DeliveryDeferred)] == ["451 4.2.0 busy"]

    run(test)


@pytest.mark.parametrize("capabilities", [FULL, without("CHUNKING"), without("PIPELINING"), PLAIN])
@pytest.mark.parametrize(
    ("verb", "answer", "result"),
    [
        ("MAIL", b"451 4.3.0 not now\r\n", Result.PENDING),
        ("MAIL", b"550 5.7.1 not you\r\n", Result.FAILED),
        ("RCPT", b"450 4.2.1 not now\r\n", Result.PENDING),
        ("RCPT", b"550 5.1.1 nobody\r\n", Result.FAILED),
        ("END", b"452 4.3.1 full\r\n", Result.PENDING),
        ("END", b"554 5.7.1 refused\r\n", Result.FAILED),
        ("END", b"299 what\r\n", Result.DELIVERED),
    ],
)
def test_answers_at_each_stage_then_the_same_connection_again(
    capabilities: tuple[str, ...], verb: str, answer: bytes, result: Result
) -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(capabilities)
        for verbs in ("CHUNK", "CONTENT") if verb == "END" else (verb,):
            hop.answers[verbs] = lambda _: answer
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com", "cc@example.com"))
        assert results(attempts) == [result, result]
        assert attempts[0].reply == answer.decode().strip()
        hop.answers.clear()
        hop.taken.clear()
        assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
        assert [taken.body for taken in hop.taken] == [CONTENT]
        assert hop.connections == 1

    run(test)


def test_data_refused_then_the_same_connection_again() -> None:
    async def test(room: Room) -> None:
        for capabilities in (without("CHUNKING"), PLAIN):
            hop = await room.hop(capabilities)
            hop.answers["DATA"] = lambda _: b"451 4.3.0 not now\r\n"
            out = room.outbound(settings_for(hop.port))
            assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.PENDING]
            hop.answers.clear()
            assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
            assert len(hop.said("RSET")) == 1
            assert hop.connections == 1

    run(test)


def test_no_recipient_but_354_sends_nothing_of_the_content() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(without("CHUNKING"))
        hop.answers["RCPT"] = lambda _: b"550 5.1.1 nobody\r\n"
        hop.answers["DATA"] = lambda _: b"354 go on\r\n"
        hop.answers["CONTENT"] = lambda _: b"554 5.5.1 no recipients\r\n"
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com"))
        assert attempts[0].reply == "550 5.1.1 nobody"
        assert hop.taken == []

    run(test)


def test_a_chunk_refused_half_way_stops_the_content() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["CHUNK"] = lambda _: b"552 5.3.4 too much\r\n"
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com", content=BIG * 4))
        assert results(attempts) == [Result.FAILED]
        hop.answers.clear()
        assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
        assert hop.taken[0].body == CONTENT

    run(test)


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "CHUNK"])
def test_a_next_hop_that_closes_is_a_temporary_failure(verb: str) -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(FULL if verb == "CHUNK" else without("CHUNKING"))
        hop.answers[verb] = lambda _: None
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com"))
        assert results(attempts) == [Result.PENDING]
        assert attempts[0].reply.startswith("4.4.2 ")
        assert out.deliverer.pool.open == 0
        if verb not in ("GREETING", "EHLO"):
            assert len(out.named(ConnectionClosed)) == 1

    run(test)


def test_a_next_hop_that_says_nothing_is_given_up() -> None:
    async def test(room: Room) -> None:
        async def one(verb: str) -> None:
            hop = await room.hop(without("CHUNKING"))
            hop.answers[verb] = lambda _: b""
            out = room.outbound(settings_for(hop.port, reply_timeout_s=1))
            attempts = await out.deliverer.deliver(mail("to@example.com"))
            assert results(attempts) == [Result.PENDING]
            assert "did not answer" in attempts[0].reply
            assert out.deliverer.pool.open == 0

        await asyncio.gather(*map(one, ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT")))

    run(test)


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "CONTENT"])
@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n", b"250-a\r\n" * 100, b"2" * 40_000, b"250-a\r\n251 b\r\n", b"\x00\xff\r\n"]
)
def test_nonsense_is_a_temporary_failure(verb: str, nonsense: bytes) -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(without("CHUNKING"))
        hop.answers[verb] = lambda _: nonsense
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com"))
        assert results(attempts) == [Result.PENDING]
        assert attempts[0].reply.startswith("4.5.0 protocol error")

    run(test)


def test_421_ends_the_connection_and_is_temporary() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["RCPT"] = lambda _: b"421 4.3.2 going down\r\n"
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("a@example.com", "b@example.com"))
        assert results(attempts) == [Result.PENDING, Result.PENDING]
        assert attempts[1].reply == "421 4.3.2 going down"
        assert out.deliverer.pool.open == 0

    run(test)


def test_multi_line_greeting_and_long_replies() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["GREETING"] = lambda _: b"220-welcome\r\n220-to this\r\n220 host\r\n"
        hop.answers["RCPT"] = lambda _: b"550-5.1.1 no such user\r\n550-5.1.1 " + b"x" * 5000 + b"\r\n550 5.1.1 end\r\n"
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com"))
        assert attempts[0].reply.startswith("550 5.1.1 no such user xxx")
        assert len(attempts[0].reply) <= limits.REPLY_TEXT_LEN + 4

    run(test)


def test_helo_when_ehlo_is_refused() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(())
        hop.answers["EHLO"] = lambda _: b"502 5.5.2 what\r\n"
        out = room.outbound(settings_for(hop.port))
        message = mail("to@example.com")
        assert results(await out.deliverer.deliver(message)) == [Result.DELIVERED]
        assert hop.taken[0].mail == "MAIL FROM:<from@example.org>"
        assert hop.said("HELO") == ["HELO gw.example.net"]

    run(test)


def test_many_recipients_are_split_and_452_goes_on_in_another_transaction() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        count = 0

        def rcpt(_: str) -> bytes:
            nonlocal count
            count += 1
            return b"452 4.5.3 too many\r\n" if count % 60 == 0 else b"250 ok\r\n"

        hop.answers["RCPT"] = rcpt
        out = room.outbound(settings_for(hop.port))
        addresses = [f"to{number}@example.com" for number in range(230)]
        attempts = await out.deliverer.deliver(mail(*addresses))
        assert results(attempts) == [Result.DELIVERED] * 230
        assert [attempt.recipient for attempt in attempts] == list(range(230))
        taken = [line[9:-1] for one in hop.taken for line in one.recipients]
        assert sorted(taken) == sorted(addresses)
        assert max(len(one.recipients) for one in hop.taken) <= limits.TRANSACTION_RECIPIENTS
        assert hop.connections == 1

    run(test)


def test_different_next_hops_are_served_at_the_same_time() -> None:
    async def test(room: Room) -> None:
        slow, fast = await room.hop(), await room.hop()
        slow.answers["CHUNK"] = lambda _: b""
        out = room.outbound(settings_for(fast.port, Route("slow.example", "127.0.0.1", slow.port)))
        task = asyncio.create_task(out.deliverer.deliver(mail("a@slow.example", "b@example.com", "c@slow.example")))
        await until(lambda: fast.taken)
        await until(lambda: slow.taken or slow.said("BDAT"))
        slow.drop()
        attempts = await task
        assert results(attempts) == [Result.PENDING, Result.DELIVERED, Result.PENDING]

    run(test)


def test_dsn_parameters_are_passed_on() -> None:
    async def test(room: Room) -> None:
        recipient = Recipient("to@example.com", notify="FAILURE,DELAY", orcpt="rfc822;was@example.com")
        for capabilities, rcpt in ((FULL, " NOTIFY=FAILURE,DELAY ORCPT=rfc822;was@example.com"), (PLAIN, "")):
            hop = await room.hop(capabilities)
            out = room.outbound(settings_for(hop.port))
            await out.deliverer.deliver(mail(recipient, ret="HDRS", envid="abc+3D"))
            assert hop.taken[0].recipients == [f"RCPT TO:<to@example.com>{rcpt}"]
            assert ("RET=HDRS ENVID=abc+3D" in hop.taken[0].mail) is bool(rcpt)

    run(test)


def test_who_tells_of_success() -> None:
    """RFC 3461 s5.2: the next hop if it offers DSN, else we; and nobody who was not asked to, or of what failed."""

    async def test(room: Room) -> None:
        asks = Recipient("a@example.com", notify="success,failure")
        others = (Recipient("b@example.com"), Recipient("c@example.com", notify="NEVER"))
        for capabilities, sender, relayed in (
            (FULL, "x@example.org", False),
            (PLAIN, "x@example.org", True),
            (PLAIN, "", False),
        ):
            hop = await room.hop(capabilities)
            out = room.outbound(settings_for(hop.port))
            attempts = await out.deliverer.deliver(mail(asks, *others, sender=sender))
            assert [attempt.relayed for attempt in attempts] == [relayed, False, False]
            hop.answers["RCPT"] = lambda line: b"550 5.1.1 no\r\n"
            attempts = await out.deliverer.deliver(mail(asks, sender=sender))
            assert [(one.result, one.relayed) for one in attempts] == [(Result.FAILED, False)]

    run(test)


@pytest.mark.parametrize("capabilities", [without("8BITMIME"), without("8BITMIME", "CHUNKING", "PIPELINING")])
@pytest.mark.parametrize("lines", [5, 100_000])
def test_eight_bit_content_is_converted_for_who_lacks_8bitmime(capabilities: tuple[str, ...], lines: int) -> None:
    """RFC 6152 s3: only the copy that is sent; its own size is declared; signatures that it breaks are named."""

    async def test(room: Room) -> None:
        hops = [await room.hop(capabilities), await room.hop(capabilities), await room.hop()]
        out = room.outbound(
            settings_for(hops[0].port, *(Route(f"{one.port}.example", "127.0.0.1", one.port) for one in hops))
        )
        head = b"DKIM-Signature: v=1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        text = "Grüße, some more words and a dot:\r\n.\r\n".encode() * lines
        content = head + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + text
        message = mail(*(f"a@{one.port}.example" for one in hops), content=content)
        assert results(await out.deliverer.deliver(message)) == [Result.DELIVERED] * 3
        assert hops[2].taken[0].body == content and "BODY=8BITMIME" in hops[2].taken[0].mail
        for hop in hops[:2]:
            taken = hop.taken[0]
            assert taken.content.isascii() and "BODY" not in taken.mail
            assert f"SIZE={len(taken.content)}" in taken.mail
            parsed = email.message_from_bytes(taken.content)
            assert parsed["Content-Transfer-Encoding"] == "quoted-printable"
            assert parsed.get_payload(decode=True) == text
        converted = out.named(Converted)
        assert {one.breaks for one in converted} == {("DKIM",)} and {one.smtp_id for one in converted} == {message.id}
        assert results(await out.deliverer.deliver(mail(f"b@{hops[0].port}.example"))) == [Result.DELIVERED]
        assert hops[0].taken[1].body == CONTENT, "what is 7-bit stays as it is"

    run(test)


@pytest.mark.parametrize("content", ["Subject: Grüße\r\n\r\nx\r\n", "Content-Type: multipart/mixed\r\n\r\nGrüße\r\n"])
def test_what_cannot_be_converted_fails(content: str) -> None:
    """RFC 6152 s3: header octets beyond ASCII, and what has several readings."""

    async def test(room: Room) -> None:
        hop = await room.hop(without("8BITMIME"))
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com", content=content.encode()))
        assert results(attempts) == [Result.FAILED]
        assert attempts[0].reply.startswith("5.6.3 ") and "cannot be converted: " in attempts[0].reply
        assert not hop.said("MAIL") and not out.named(Converted)

    run(test)


def test_too_large_when_it_is_converted() -> None:
    """RFC 1870: what counts is what would be sent."""

    async def test(room: Room) -> None:
        hop = await room.hop(("SIZE 60000",))
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com", content=b"Subject: x\r\n\r\n" + b"\xe4" * 50_000))
        assert attempts[0].reply.startswith("5.3.4 ") and not hop.said("MAIL")

    run(test)


def test_smtputf8_is_asked_for_only_where_it_is_needed() -> None:
    async def test(room: Room) -> None:
        hop, plain = await room.hop(), await room.hop(without("SMTPUTF8"))
        out = room.outbound(settings_for(hop.port, Route("plain.example", "127.0.0.1", plain.port)))
        header = "Subject: Grüße\r\n\r\n".encode()
        await out.deliverer.deliver(mail("to@example.com", smtputf8=True))
        await out.deliverer.deliver(mail("to@example.com", smtputf8=True, content=header))
        await out.deliverer.deliver(mail("grün@example.com", smtputf8=True))
        assert [" SMTPUTF8" in taken.mail for taken in hop.taken] == [False, True, True]
        assert hop.taken[2].recipients == ["RCPT TO:<grün@example.com>"]
        attempts = await out.deliverer.deliver(mail("to@plain.example", "grün@plain.example", smtputf8=True))
        assert results(attempts) == [Result.DELIVERED, Result.FAILED]
        assert attempts[1].reply.startswith("5.6.7 ")

    run(test)


def test_idn_domain_goes_as_a_labels_without_smtputf8() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(PLAIN)
        out = room.outbound(settings_for(hop.port))
        assert results(await out.deliverer.deliver(mail("to@bücher.example"))) == [Result.DELIVERED]
        assert hop.taken[0].recipients == ["RCPT TO:<to@xn--bcher-kva.example>"]

    run(test)


def test_size_limit_of_the_next_hop_is_kept_without_sending() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop(("PIPELINING", "SIZE 1000", "8BITMIME"))
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("to@example.com", content=BIG))
        assert results(attempts) == [Result.FAILED]
        assert attempts[0].reply.startswith("5.3.4 ")
        assert hop.said("MAIL") == []

    run(test)


def test_address_with_control_characters_never_reaches_the_wire() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail("a@example.com>\r\nRCPT TO:<b@example.com", "c@example.com"))
        assert results(attempts) == [Result.FAILED, Result.DELIVERED]
        assert len(hop.said("RCPT")) == 1

    run(test)


# --- TLS ----------------------------------------------------------------------------------------------


def test_starttls_with_any_certificate_dlv_06() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop((*FULL, "STARTTLS"))
        hop.context = self_signed()
        out = room.outbound(settings_for(hop.port))
        for content in (CONTENT, BIG):
            assert results(await out.deliverer.deliver(mail("to@example.com", content=content))) == [Result.DELIVERED]
        assert [taken.body for taken in hop.taken] == [CONTENT, BIG]
        first = out.named(ConnectedTo)[0]
        assert first.kind == "Actual"
        assert first.tls.startswith("TLSv1.")
        assert len(hop.said("EHLO")) == 2

    run(test)


def test_broken_tls_falls_back_to_the_clear_on_a_new_connection() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop((*FULL, "STARTTLS"))
        hop.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no certificate: the handshake fails
        out = room.outbound(settings_for(hop.port))
        assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
        assert hop.connections == 2
        assert out.named(ConnectedTo)[-1].tls == ""

    run(test)


def test_refused_starttls_goes_on_in_the_clear() -> None:
    """DLV-06: on another connection, since some hosts end this one then."""

    async def test(room: Room) -> None:
        hop = await room.hop((*FULL, "STARTTLS"))
        hop.answers["STARTTLS"] = lambda _: b"454 4.7.0 not now\r\n"
        hop.answers["MAIL"] = lambda _: b"250 ok\r\n" if hop.connections == 2 else None
        out = room.outbound(settings_for(hop.port))
        assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
        assert hop.connections == 2

    run(test)


def test_octets_behind_the_reply_to_starttls_are_not_trusted() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop((*FULL, "STARTTLS"))
        hop.answers["STARTTLS"] = lambda _: b"220 go on\r\n250 injected\r\n"
        out = room.outbound(settings_for(hop.port))
        assert results(await out.deliverer.deliver(mail("to@example.com"))) == [Result.DELIVERED]
        assert hop.connections == 2  # the second in the clear, as after any other broken handshake

    run(test)


# --- MX -----------------------------------------------------------------------------------------------


def by_mx(port: int) -> Route:
    """Mail for mx.example goes where MX of hosts.example points, at a port that tests can have."""
    return Route("mx.example", "hosts.example", port, mx=True)


def test_next_mx_when_the_first_is_down_rte_04() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        zone = {
            ("hosts.example", "MX"): ["5 nowhere.example.", "10 dead.example.", "20 good.example."],
            ("dead.example", "A"): ["127.0.0.9"],
            ("good.example", "A"): ["127.0.0.1"],
        }
        names = await room.names(zone)
        out = room.outbound(settings_for(1, by_mx(hop.port)), names.resolver())
        assert results(await out.deliverer.deliver(mail("to@mx.example"))) == [Result.DELIVERED]
        assert out.named(Delivered)[0].server == f"good.example[127.0.0.1]:{hop.port}"

    run(test)


def test_another_mx_may_offer_what_the_first_lacks() -> None:
    async def test(room: Room) -> None:
        good = await room.hop()
        strict = await room.hop(without("8BITMIME"), good.port, "127.0.0.2")
        zone = {
            ("hosts.example", "MX"): ["10 strict.example.", "20 good.example."],
            ("strict.example", "A"): ["127.0.0.2"],
            ("good.example", "A"): ["127.0.0.1"],
        }
        out = room.outbound(settings_for(1, by_mx(good.port)), (await room.names(zone)).resolver())
        eight = b"Subject: x\r\n\r\n\xc3\xa4\r\n"
        assert results(await out.deliverer.deliver(mail("to@mx.example", content=eight))) == [Result.DELIVERED]
        assert [taken.body for taken in good.taken] == [eight]
        await good.stop()
        assert strict.taken == [] and not out.named(Converted)
        attempts = await out.deliverer.deliver(mail("to@mx.example", content=eight))
        assert results(attempts) == [Result.DELIVERED]  # sooner rather than unchanged
        assert strict.taken[0].content.isascii() and len(out.named(Converted)) == 1

    run(test)


def test_conversion_when_no_host_takes_8_bits() -> None:
    """RFC 6152 s3: also when the last one lacks something else."""

    async def test(room: Room) -> None:
        first = await room.hop(without("8BITMIME"))
        second = await room.hop(("SIZE 10",), first.port, "127.0.0.2")
        zone = {
            ("hosts.example", "MX"): ["10 first.example.", "20 second.example."],
            ("first.example", "A"): ["127.0.0.1"],
            ("second.example", "A"): ["127.0.0.2"],
        }
        out = room.outbound(settings_for(1, by_mx(first.port)), (await room.names(zone)).resolver())
        message = mail("to@mx.example", content=b"Subject: x\r\n\r\n\xc3\xa4\r\n")
        assert results(await out.deliverer.deliver(message)) == [Result.DELIVERED]
        assert first.taken[0].content.isascii() and not second.said("MAIL")

    run(test)


def test_a_named_host_that_dns_does_not_know_is_temporary() -> None:
    async def test(room: Room) -> None:
        route = Route("typo.example", "gone.example")
        out = room.outbound(settings_for(1, route), (await room.names({})).resolver())
        attempts = await out.deliverer.deliver(mail("to@typo.example"))
        assert [(one.result, one.reply) for one in attempts] == [
            (Result.PENDING, "4.4.4 there is no host gone.example")
        ]

    run(test)


@pytest.mark.parametrize(
    ("domain", "result", "status"),
    [
        ("none.example", Result.FAILED, "5.1.2"),
        ("null.example", Result.FAILED, "556 5.1.10"),
        ("broken.example", Result.PENDING, "4.4.3"),
        ("loop.example", Result.FAILED, "5.4.6"),
        ("self.example", Result.FAILED, "5.4.6"),
    ],
)
def test_domains_without_a_way(domain: str, result: Result, status: str) -> None:
    async def test(room: Room) -> None:
        zone = {
            ("null.example", "MX"): ["0 ."],
            ("self.example", "MX"): ["10 gw.example.net.", "20 other.example."],
            ("other.example", "A"): ["127.0.0.1"],
        }
        names = await room.names(zone)
        names.broken.add("broken.example")
        entries = (Route("loop.example", "127.0.0.1", 2525), Route("*.example"))
        out = room.outbound(settings_for(1, *entries), names.resolver())
        attempts = await out.deliverer.deliver(mail(f"to@{domain}"))
        assert results(attempts) == [result]
        assert attempts[0].reply.startswith(f"{status} ")

    run(test)


def test_a_message_that_cannot_be_read_stays_pending() -> None:
    class Unreadable(Mail):
        def pieces(self, size: int = 0) -> "object":  # type: ignore[override]
            raise OSError(5, "Input/output error")

    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        message = mail("to@example.com")
        out.deliverer._content = lambda message: Unreadable.pieces(message)  # type: ignore[assignment,arg-type,return-value]
        attempts = await out.deliverer.deliver(message)
        assert results(attempts) == [Result.PENDING]
        assert attempts[0].reply == "4.3.0 internal error: OSError"
        assert hop.taken == []

    run(test)


def test_content_that_breaks_off_is_never_ended_as_if_it_were_whole() -> None:
    async def test(room: Room) -> None:
        for capabilities in (FULL, without("CHUNKING")):
            hop = await room.hop(capabilities)
            out = room.outbound(settings_for(hop.port))

            def broken(message: Mail):  # type: ignore[no-untyped-def]
                yield from list(message.pieces())[:3]
                raise OSError(5, "Input/output error")

            out.deliverer._content = broken
            attempts = await out.deliverer.deliver(mail("to@example.com", content=BIG))
            assert results(attempts) == [Result.PENDING]
            await until(lambda: not hop.standing)  # noqa: B023
            assert hop.taken == []
            assert out.deliverer.pool.open == 0

    run(test)
