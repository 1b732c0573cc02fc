"""Who is told about a message, of what, and who never is (NTF-00..17, META-01..05)."""

import itertools

import msgspec
import pytest

from engine.config import Action, Kind, Notifications, Settings
from engine.events import NotificationWanted
from engine.policy.evidence import Authentication, Envelope, Evidence, Header, Signature
from engine.policy.metatags import VALUE_LEN
from engine.policy.notify import Infection, wanted
from engine.policy.violation import Criterion, Violation
from engine.queue.record import Disposition

OWN = "mailward-noreply@gw.example.com"
ENVELOPE = Envelope(client="192.0.2.7", reverse_path="a@example.net", forward_paths=("b@example.com", "c@example.com"))
VIRUS = Infection("EICAR-Test", "2", "eicar.com", "deleted")
SUBJECT = Violation(Criterion.SUBJECT, Action.DROP, "*hot*", "a hot offer")
FILE = Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "setup.exe", ("2",))
DEPTH = Violation(Criterion.CONTAINER_LIMIT, Action.DROP, "extraction depth", "2/a.zip/b.zip")
LOCKED = Violation(Criterion.ENCRYPTED, Action.DELETE, "", "secret.zip", ("2",))
LISTED = Violation(Criterion.BLOCK_LIST, Action.LOG, "bl.example.org", "127.0.0.2")
BLOCKED = Violation(Criterion.SENDER, Action.DROP, "@example.net", "a@example.net")
FORGED = Violation(Criterion.DMARC, Action.HOLD, "reject", "example.net")


def settings(*enabled: str) -> Settings:
    """With these notifications on, such as `virus.sender`; all of them without names."""
    plain = msgspec.to_builtins(Notifications(administrators=("postmaster@example.com",)))
    for kind, audience in itertools.product(Kind, ("sender", "administrator")):
        plain[kind][audience]["enabled"] = not enabled or f"{kind}.{audience}" in enabled
    return Settings(notifications=msgspec.convert(plain, Notifications))


def told(
    *violations: Violation,
    infections: tuple[Infection, ...] = (),
    evidence: Evidence | None = None,
    disposition: Disposition = Disposition.DROP,
    using: Settings | None = None,
) -> list[NotificationWanted]:
    return wanted("1ABC", evidence or Evidence(ENVELOPE), violations, infections, disposition, using or settings(), OWN)


def names(notices: list[NotificationWanted]) -> set[str]:
    return {f"{one.kind}.{one.audience}" for one in notices}


def test_nothing_is_told_by_default() -> None:
    """NTF-00: every check box is off."""
    assert not told(SUBJECT, FILE, DEPTH, LOCKED, BLOCKED, infections=(VIRUS,), using=Settings())


def test_a_clean_message_is_nobody_s_business() -> None:
    assert not told(disposition=Disposition.DELIVER)


@pytest.mark.parametrize(
    ("violation", "kind"),
    [
        (SUBJECT, "content"), (FILE, "content"), (DEPTH, "container"), (LOCKED, "encrypted"),
        (BLOCKED, "spam"), (LISTED, "spam"), (FORGED, "spam"),
    ],
)  # fmt: skip
def test_kinds(violation: Violation, kind: str) -> None:
    """NTF-02, NTF-03, NTF-04, NTF-05, NTF-08, NTF-09, NTF-10, NTF-11, GAP-28: a sender block is of kind spam."""
    assert names(told(violation)) == {f"{kind}.sender", f"{kind}.administrator"}
    for audience in ("sender", "administrator"):
        assert names(told(violation, using=settings(f"{kind}.{audience}"))) == {f"{kind}.{audience}"}
    others = [f"{other}.{audience}" for other in Kind for audience in ("sender", "administrator") if other != kind]
    assert not told(violation, using=settings(*others))


def test_virus() -> None:
    """NTF-01, NTF-06, META-04: file, virus and what was done."""
    sender, administrator = told(infections=(VIRUS,), disposition=Disposition.DELIVER)
    assert (sender.to, administrator.to) == ("a@example.net", "")
    assert sender.values == {
        "MSGINFO": "From: a@example.net, To: b@example.com, c@example.com",
        "VIRUSINFO": "eicar.com: EICAR-Test, deleted",
    }
    assert administrator.values == sender.values | {
        "DISPOSITION": "What broke the rule was deleted, and the rest of the message went on to its recipients."
    }


def test_one_for_each_kind_names_everything() -> None:
    """NTF-08, META-03: configured entry and what matched it; one notification for all files."""
    more = msgspec.structs.replace(FILE, value="second.exe")
    notices = told(SUBJECT, FILE, more, LISTED, infections=(VIRUS, VIRUS))
    assert len(notices) == len(names(notices)) == 6
    content = next(one for one in notices if (one.kind, one.audience) == ("content", "administrator"))
    assert content.values["CONTENTINFO"] == (
        'subject "*hot*": a hot offer; file name "*.exe": setup.exe; file name "*.exe": second.exe'
    )
    assert "SPAMINFO" not in content.values and "VIRUSINFO" not in content.values


def test_container_limit_is_named() -> None:
    """NTF-03, META-03, CONT-09, CONT-12."""
    sender, _ = told(DEPTH)
    assert sender.values["CONTENTINFO"] == 'container limit "extraction depth": 2/a.zip/b.zip'


def test_spam_names_sender_and_list_to_the_administrator_only() -> None:
    """NTF-11, META-05"""
    sender, administrator = told(LISTED)
    assert "SPAMINFO" not in sender.values
    assert administrator.values["SPAMINFO"] == 'From: a@example.net; block list "bl.example.org": 127.0.0.2'


@pytest.mark.parametrize(
    ("disposition", "word"),
    [
        (Disposition.DROP, "dropped"),
        (Disposition.FORWARD, "forwarded"),
        (Disposition.HOLD, "hold queue"),
        (Disposition.BOUNCE, "returned"),
        (Disposition.DELIVER, "only logged"),
    ],
)
def test_disposition_is_a_sentence_for_administrators(disposition: Disposition, word: str) -> None:
    """META-02"""
    sender, administrator = told(SUBJECT, disposition=disposition)
    assert word in administrator.values["DISPOSITION"] and administrator.values["DISPOSITION"].endswith(".")
    assert "DISPOSITION" not in sender.values


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(Envelope(reverse_path="", forward_paths=("b@example.com",))),
        Evidence(Envelope(reverse_path="Mailward-NoReply@gw.example.com", forward_paths=("b@example.com",))),
        Evidence(ENVELOPE, Header(automatic=True)),
        Evidence(ENVELOPE, authentication=Authentication(spf="fail")),
        Evidence(ENVELOPE, authentication=Authentication(spf="softfail", dkim=(Signature("example.net", "", "fail"),))),
        Evidence(ENVELOPE, authentication=Authentication(spf="fail", dkim=(Signature("evil.example", "", "pass"),))),
        Evidence(ENVELOPE, authentication=Authentication(spf="fail", dkim=(Signature("", "", "pass"),))),
        Evidence(ENVELOPE, authentication=Authentication(spf="fail", dkim=(Signature("ample.net", "", "pass"),))),
    ],
)
def test_who_is_never_answered(evidence: Evidence) -> None:
    """NTF-15, GAP-33: the null reverse-path, ourselves, programs and lists, who fails SPF and DKIM."""
    everything = (SUBJECT, DEPTH, LOCKED, LISTED)
    audiences = {one.audience for one in told(*everything, infections=(VIRUS,), evidence=evidence)}
    assert audiences == {"administrator"}


def test_nobody_is_told_of_mail_of_our_own_that_came_back() -> None:
    """NTF-15: an administrator whose mail is passed on to this gateway would be told of what we told, for ever."""
    ours = Header("Content rule violated: a hot offer", (OWN,), True)
    assert not told(SUBJECT, LISTED, evidence=Evidence(Envelope(forward_paths=("b@example.com",)), ours))
    assert told(SUBJECT, evidence=Evidence(ENVELOPE, ours)), "what others send in our name is told of"
    bounce = Header("a hot offer", ("mailer-daemon@example.net",), True)
    assert told(SUBJECT, evidence=Evidence(Envelope(forward_paths=("b@example.com",)), bounce))


@pytest.mark.parametrize(
    "results",
    [
        Authentication(),
        Authentication(spf="pass"),
        Authentication(spf="none"),
        Authentication(spf="temperror"),
        Authentication(spf="pass", dkim=(Signature("example.net", "", "fail"),)),
        Authentication(spf="fail", dkim=(Signature("x", "", "fail"), Signature("Example.NET", "", "pass"))),
    ],
)
def test_who_may_be_answered(results: Authentication) -> None:
    """NTF-15: only who fails both is not."""
    assert len(told(SUBJECT, evidence=Evidence(ENVELOPE, authentication=results))) == 2


def test_a_signature_of_the_parent_domain_counts() -> None:
    """NTF-15"""
    envelope = msgspec.structs.replace(ENVELOPE, reverse_path="a@mail.example.net")
    results = Authentication(spf="fail", dkim=(Signature("example.net", "", "pass"),))
    assert len(told(SUBJECT, evidence=Evidence(envelope, authentication=results))) == 2


def test_every_criterion_has_its_kind() -> None:
    """NTF-00; NTF-12, HEUR-06: what has none tells nobody, as it is to be with the engine that guesses spam."""
    for criterion in Criterion:
        assert told(Violation(criterion, Action.LOG))
    assert not told(Violation("heuristic", Action.LOG))  # type: ignore[arg-type]


def test_what_was_found_and_done_is_named() -> None:
    """AV-12, AV-14: each file once, with all that was found in it and what its repair took out."""
    page = Infection("EICAR-Test, Heuristic.SCRIPT", "3/a.zip/p.html", "p.html", "repaired", ("scripts", "frames"))
    notices = told(infections=(VIRUS, page), disposition=Disposition.DELIVER)
    (info,) = {one.values["VIRUSINFO"] for one in notices}
    repaired = "p.html: EICAR-Test, Heuristic.SCRIPT, repaired (scripts, frames taken out)"
    assert info == f"eicar.com: EICAR-Test, deleted; {repaired}"


def test_hostile_words_stay_one_line_of_limited_length() -> None:
    """NTF-17: whatever senders put into addresses, subjects, file names."""
    bad = "x\r\nBcc: victim@example.org\r\n\r\n<b>\u202egnp.exe\x00\x1b[2J" + "y" * 5000
    envelope = Envelope(reverse_path=bad, forward_paths=(bad,) * 500)
    violations = [Violation(one, Action.LOG, bad, bad) for one in Criterion] * 40
    notices = told(*violations, infections=(Infection(bad, bad, bad, "logged"),) * 300, evidence=Evidence(envelope))
    assert len(notices) == 10
    for notice in notices:
        for value in notice.values.values():
            assert value.isprintable() and 0 < len(value) <= VALUE_LEN
    content = next(one for one in notices if one.kind == "content")
    assert content.values["CONTENTINFO"].endswith(" more")
