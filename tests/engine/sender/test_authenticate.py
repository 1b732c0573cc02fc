"""SPF, DKIM, ARC and DMARC of whole messages, and what happens when DNS does not answer."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.config import Authentication as Options
from engine.config import Blocking, Dmarc, Settings, WhiteList
from engine.config.notices import Notifications, SpamNotices, SpamToAdministrator, SpamToSender
from engine.dns import Resolver
from engine.policy.evidence import Authentication, Envelope, Header
from engine.scan.claims import Claims, collect
from engine.sender import dkim, dmarc
from engine.sender.authenticate import authenticate, begin
from engine.sender.wanted import is_wanted
from tests.dns_server import Names
from tests.engine.sender.signing import MESSAGE, NAME, hand_signed, rsa_record, signed
from tests.engine.sender.zone import Zone
from tests.hurried import run

ON = Settings(authentication=Options(enabled=True))
INSIDE, OUTSIDE = "192.0.2.1", "198.51.100.1"
DOMAIN: Mapping[tuple[str, str], Sequence[Any]] = {
    ("example.com", "TXT"): [b"v=spf1 ip4:192.0.2.0/24 -all"],
    ("_dmarc.example.com", "TXT"): [b"v=DMARC1; p=reject"],
    (NAME, "TXT"): [rsa_record()],
}
FROM = Header(senders=("a@example.com",))


def envelope(client: str = OUTSIDE, reverse_path: str = "a@example.com") -> Envelope:
    return Envelope(client=client, helo="mx.example.net", reverse_path=reverse_path)


class Hanging(Zone):
    """Never answers for these names."""

    hanging: frozenset[str] = frozenset()

    async def records(
        self, name: str, kind: str, *, fresh: bool = False, lasting: bool = True
    ) -> tuple[Any, ...] | None:
        if name in self.hanging:
            await asyncio.Event().wait()
        return await super().records(name, kind)


def found(resolver: Resolver, data: bytes = MESSAGE, of: Envelope | None = None) -> Authentication:
    return run(authenticate(resolver, ON, of or envelope(), FROM, collect(data)))


def test_a_message_of_the_domain_passes_everything() -> None:
    """WL-05: what confirms a domain."""
    result = found(Zone(DOMAIN), signed(), envelope(INSIDE))
    assert (result.spf, result.spf_domain) == ("pass", "example.com")
    assert [(one.domain, one.selector, one.result) for one in result.dkim] == [("example.com", "sel", "pass")]
    assert (result.dmarc, result.dmarc_domain, result.dmarc_policy) == ("pass", "example.com", "reject")
    assert (result.arc, result.arc_sealer) == ("", "")


def test_a_forwarded_message_passes_by_its_signature() -> None:
    result = found(Zone(DOMAIN), signed())
    assert (result.spf, result.dmarc) == ("fail", "pass")


def test_a_message_of_a_list_fails() -> None:
    """RFC 9989 s7.4: the list's own address passes SPF, its footer breaks the signature."""
    table = {**DOMAIN, ("lists.example", "TXT"): [b"v=spf1 +all"]}
    result = found(Zone(table), signed() + b"-- \r\nfooter\r\n", envelope(OUTSIDE, "bounces@lists.example"))
    assert (result.spf, result.dkim[0].result, result.dmarc) == ("pass", "fail", "fail")


def test_a_forged_message_fails() -> None:
    result = found(Zone(DOMAIN))
    assert (result.spf, result.dkim, result.dmarc, result.dmarc_policy) == ("fail", (), "fail", "reject")


def test_the_null_reverse_path_goes_by_helo() -> None:
    """RFC 7208 s2.4."""
    result = found(Zone({("mx.example.net", "TXT"): [b"v=spf1 +all"]}), of=envelope(reverse_path=""))
    assert (result.spf, result.spf_domain, result.dmarc) == ("pass", "mx.example.net", "none")


def test_a_real_name_server_is_asked_once_for_each_name() -> None:
    """All questions of several messages go through one cache."""

    async def ask() -> None:
        names = await Names(
            {
                ("example.com", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
                ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject"'],
            }
        ).start()
        resolver = names.resolver()
        try:
            for _ in range(3):
                result = await authenticate(resolver, ON, envelope(INSIDE), FROM, Claims())
                assert (result.spf, result.dmarc) == ("pass", "pass")
        finally:
            names.stop()
        assert sorted(names.asked) == sorted(set(names.asked))
        assert set(names.asked) == {(name, "TXT") for name in ("example.com", "_dmarc.example.com", "_dmarc.com")}

    run(ask())


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "is_signed", "spf", "signature", "result"),
    [
        ("example.com", True, "temperror", ["pass"], "pass"),
        ("example.com", False, "temperror", [], "temperror"),
        (NAME, True, "fail", ["temperror"], "temperror"),
        ("_dmarc.example.com", True, "fail", ["pass"], "temperror"),
    ],
)
@pytest.mark.parametrize("is_silent", [False, True])
def test_without_an_answer_there_is_temperror(
    name: str, is_signed: bool, spf: str, signature: list[str], result: str, is_silent: bool
) -> None:
    """RFC 7208 s2.6.6, RFC 6376 s6.1.2, RFC 9989 s5.3.6: the rest is told, and nothing waits beyond timeout_s."""
    table = {key: value for key, value in DOMAIN.items() if key[0] != name}
    resolver = Hanging(DOMAIN) if is_silent else Zone(table, [name])
    if isinstance(resolver, Hanging):
        resolver.hanging = frozenset({name})
    told = found(resolver, signed() if is_signed else MESSAGE)
    assert (told.spf, [one.result for one in told.dkim], told.dmarc) == (spf, signature, result)
    assert told.dmarc_domain == "example.com"


def test_spf_is_asked_before_the_message_is_read() -> None:
    async def ask() -> None:
        resolver = Zone(DOMAIN)
        begun = begin(resolver, ON, envelope())
        while not resolver.asked:
            await asyncio.sleep(0)
        assert resolver.asked == [("example.com", "TXT")]
        result = await begun.finish(FROM, Claims())
        assert result.spf == "fail" and resolver.asked.count(("example.com", "TXT")) == 1

    run(ask())


def test_what_nobody_wants_to_know_is_asked_no_more() -> None:
    async def ask() -> None:
        resolver = Hanging(DOMAIN)
        resolver.hanging = frozenset({"example.com"})
        before = asyncio.all_tasks()
        begun = begin(resolver, ON, envelope())
        begun.close()
        begun.close()
        left = asyncio.all_tasks() - before
        await asyncio.wait(left)
        assert all(task.cancelled() for task in left)

    run(ask())


def test_a_forger_cannot_buy_time_with_a_domain_that_does_not_answer() -> None:
    """PROC-20: DMARC fails though the key of the sender's own signature never comes."""
    resolver = Hanging(DOMAIN)
    resolver.hanging = frozenset({"s._domainkey.example.net"})
    forged = signed().replace(b"two  words", b"two  wOrds")
    result = found(resolver, hand_signed(forged, {"d": "example.net", "s": "s"}))
    assert [(one.domain, one.result) for one in result.dkim] == [("example.net", "temperror"), ("example.com", "fail")]
    assert result.dmarc == "fail"


@pytest.mark.parametrize("senders", [("a@example.com", "b@slow.example"), ("b@slow.example", "a@example.com")])
def test_a_second_author_whose_domain_does_not_answer_hides_nobody(senders: tuple[str, ...]) -> None:
    """PROC-20: else a From field with an address of the forger's own would switch DMARC off."""
    resolver = Hanging(DOMAIN)
    resolver.hanging = frozenset({"_dmarc.slow.example"})
    result = run(authenticate(resolver, ON, envelope(), Header(senders=senders), collect(MESSAGE)))
    assert (result.dmarc, result.dmarc_domain, result.dmarc_policy) == ("fail", "example.com", "reject")


def test_no_task_is_left_after_a_time_out() -> None:
    async def ask() -> None:
        resolver = Hanging(DOMAIN)
        resolver.hanging = frozenset({"example.com", NAME, "_dmarc.example.com"})
        before = asyncio.all_tasks()
        await authenticate(resolver, ON, envelope(), FROM, collect(signed()))
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left)

    run(ask())


@pytest.mark.parametrize("module", [dkim, dmarc])
def test_a_defect_of_ours_holds_no_mail_up(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "verify" if module is dkim else "discover", broken)
    result = found(Zone(DOMAIN), signed())
    assert (result.spf, result.dmarc) == ("fail", "temperror")
    assert "a check of the sender failed" in caplog.text


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (Settings(), False),
        (ON, True),
        (Settings(blocking=Blocking(dmarc=Dmarc(enabled=True))), True),
        (Settings(blocking=Blocking(white_list=WhiteList(enabled=True, confirmed=True))), True),
        (Settings(blocking=Blocking(white_list=WhiteList(enabled=True))), False),
        (Settings(blocking=Blocking(white_list=WhiteList(confirmed=True))), False),
        (Settings(notifications=Notifications(spam=SpamNotices(sender=SpamToSender(enabled=True)))), True),
        (
            Settings(notifications=Notifications(spam=SpamNotices(administrator=SpamToAdministrator(enabled=True)))),
            False,
        ),
    ],
)
def test_nobody_is_asked_what_no_setting_needs(settings: Settings, wanted: bool) -> None:
    """WL-05, NTF-15: a white list that has to be confirmed needs SPF and DKIM, and so do notices to senders."""
    assert is_wanted(settings) is wanted
