"""Content policy in examine(): from a whole message to what becomes of it (PROC-02, PROC-16..19)."""

import hashlib
import struct
import zipfile
from io import BytesIO

import msgspec
import pytest

from engine import limits
from engine.config import (
    Antivirus,
    Blocking,
    ContainerAction,
    ContainerLimits,
    Encrypted,
    FileNames,
    Forward,
    LeftoverAction,
    MessageAction,
    Settings,
    SubjectLines,
    UnscannedAction,
    VirusAction,
)
from engine.policy.evidence import FILES_KEPT, File
from engine.policy.violation import Criterion
from engine.queue.record import Disposition, Splice
from engine.rewrite import CannotRewrite, spliced
from engine.scan.facts import Cause, Verdict
from engine.scan.outcome import Outcome
from engine.scan.service import examine
from engine.scan.walk import Walk
from engine.scanner import protocol
from tests.engine.scan.formats.archives_made import rar5
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.formats.pdf_material import document, stream
from tests.engine.scan.material import (
    EICAR,
    VIRUS,
    Clock,
    Matcher,
    gzipped,
    message,
    nested,
    tarred,
    uuencoded,
    walk,
    zipped,
)
from tests.oracles.tnef import MAGIC, attachment

TO = Forward("postmaster@example.com", "blocked")
NAMES = FileNames(enabled=True)
INSIDE = FileNames(enabled=True, in_containers=True)
SEVEN = b"7z\xbc\xaf\x27\x1c" + bytes(40)  # damaged


def examined(data: bytes, antivirus: Antivirus | None = None, **blocking: object) -> Outcome:
    settings = Settings(antivirus=antivirus or Antivirus(), blocking=Blocking(**blocking))  # type: ignore[arg-type]
    return examine(data, Matcher(), settings, clock=Clock())


def locked(members: dict[str, bytes], only: str = "") -> bytes:
    """A zip whose members say that they are encrypted: all, or one of them."""
    buf = bytearray(zipped(members))
    archive = zipfile.ZipFile(BytesIO(bytes(buf)))
    central = archive.start_dir
    for info in archive.infolist():
        if not only or info.filename == only:
            buf[info.header_offset + 6] |= 1
            buf[central + 8] |= 1
        central += 46 + len(info.filename.encode())
    return bytes(buf)


def delivered(data: bytes, outcome: Outcome) -> bytes:
    assert outcome.disposition is Disposition.DELIVER, outcome.reason
    return spliced(data, outcome.splices)


def files(data: bytes) -> list[str]:
    """Paths of everything with a name."""
    return [part.part for part in walk(data).facts.parts if part.filenames]


def test_a_reason_says_everything_once() -> None:
    """FILE-05, PROC-22: a part that is read in two ways violates twice."""
    data = b"From: a@b.c\r\nContent-Type: message/partial; id=x; number=1; total=2; name=a.exe\r\n\r\nMZ\r\n"
    outcome = examined(data, files=NAMES)
    assert outcome.reason == 'file-name "*.exe": a.exe, removed' and len(outcome.violations) == 2
    assert len(outcome.attachments_deleted) == 1


# --- evidence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        b"'a.exe'",
        b'"\\"a.exe\\""',
        b'a".exe"',
        b'"<a.exe>"',
        b"a.exe,",
        b'"a.exe?"',
        b'"C:\\\\x\\\\a.exe"',
        b'"a.exe/"',
        b'"a.exe\\\\"',
        b'"a.exe::$DATA"',
        b'"a.exe:x.txt"',
        b'"a.txt:a.exe"',
        b'"a.exe\xc2\xa0. "',
        '"a.\uff45\uff58\uff45"'.encode(),
        '"a.e\u200bxe\u202e"'.encode(),
        b'"' + b"a" * 2000 + b'.exe"',
        b'"a.txt' + b" " * 20_000 + b'.exe"',
    ],
)
def test_a_name_is_found_however_it_is_written(written: bytes) -> None:
    """FILE-06: what is left of it when it is saved counts."""
    data = (
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nhello\r\n--B\r\n"
        b"Content-Disposition: attachment; filename=" + written + b"\r\n\r\nprogram\r\n--B--\r\n"
    )
    assert b"program" not in delivered(data, examined(data, files=NAMES))


def renamed(members: dict[str, bytes], name: bytes, where: bytes) -> bytes:
    """A zip with one member whose header (of this mark) has a Unicode path extra field with another name."""
    buf = zipped(members)
    extra = struct.pack("<2sHBL", b"up", 5 + len(name), 1, 0) + name
    (member,) = members
    at = buf.index(where)
    behind = at + (30 if where == b"PK\x03\x04" else 46) + len(member)
    place = at + (28 if where == b"PK\x03\x04" else 30)
    buf = buf[:place] + struct.pack("<H", len(extra)) + buf[place + 2 : behind] + extra + buf[behind:]
    end = bytearray(buf[-22:])
    grown = 16 if where == b"PK\x03\x04" else 12
    struct.pack_into("<L", end, grown, struct.unpack_from("<L", end, grown)[0] + len(extra))
    return buf[:-22] + bytes(end)


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.zip", renamed({"a.txt": b"program"}, b"a.exe", b"PK\x03\x04")),
        ("a.zip", renamed({"a.txt": b"program"}, b"a.exe", b"PK\x01\x02")),
        ("a.zip", zipped({"dir\\a.exe": b"program"})),
        ("a.zip", zipped({"a.exe:b.txt": b"program"})),
        ("a.zip", zipped({"x" * 5000 + ".exe": b"program"})),
        ("a.exe.gz", gzipped(b"program", "a.txt")),
        ("a.txt.gz", gzipped(b"program", "a.exe")),
    ],
)
def test_a_member_of_a_container_is_found_by_any_of_its_names(name: str, container: bytes) -> None:
    """FILE-06, FILE-07: readers differ in which name they take."""
    data = message(attachments=[(name, container)])
    outcome = examined(data, files=INSIDE)
    assert outcome.attachments_deleted
    assert [one.entry for one in outcome.violations] == ["*.exe"]
    assert not examined(delivered(data, outcome), files=INSIDE).violations


@pytest.mark.parametrize("first", [b"Date: Mon, 27 Apr 2020 19:54:10 +0300\r\n", b""])
def test_a_sloppy_header_is_no_deep_container(first: bytes) -> None:
    """CONT-03, PROC-22: a body that could begin with the line `From :` is not that message again, ten levels deep."""
    header = first + b"From : Ann <ann@example.com>\r\nTo: b@example.com\r\nSubject: x\r\nDate: today\r\n"
    outcome = examined(header + b"\r\nhello\r\n")
    assert outcome.disposition is Disposition.DELIVER and not outcome.facts.unscanned


def test_a_file_in_what_is_no_header_of_a_nested_message_is_found() -> None:
    """PROC-22: a client that sees all of it as text shows the file."""
    inner = uuencoded(b"MZ", "a.exe") + b"Content-Type: text/plain\r\n\r\nhello\r\n"
    data = b"From: a@b.c\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert [one.value for one in examined(data, files=INSIDE).violations] == ["a.exe"]


def test_what_content_policy_could_not_look_into_is_not_delivered_without_virus_scanning() -> None:
    """CONT-08: the rest behind a limit is treated by SCAN-07, also without virus scanning; FILE-07: so is what may hide
    a forbidden file."""
    off = Antivirus(enabled=False)
    deep = message(attachments=[("a.zip", zipped({"b.zip": zipped({"c.exe": b"program"})}))])
    logged = ContainerLimits(depth=1, action=MessageAction.LOG)
    outcome = examined(deep, off, containers=logged)
    assert outcome.disposition is Disposition.HOLD and "extraction depth 1" in outcome.reason
    through = Antivirus(enabled=False, unscanned=UnscannedAction.DELIVER)
    assert examined(deep, through, containers=logged).disposition is Disposition.DELIVER
    closed = message(attachments=[("a.7z", SEVEN)])
    assert examined(closed, off, files=INSIDE).disposition is Disposition.HOLD
    assert examined(closed, off, files=NAMES).disposition is Disposition.DELIVER
    assert examined(message(), off, files=INSIDE).disposition is Disposition.DELIVER


@pytest.mark.parametrize(
    "fields",
    [
        b"Subject: fine\r\nSubject: hot stuff",
        b"Subject: hot stuff\r\nSubject: fine",
        b"Subject:\r\nSubject: hot stuff",
        b"Subject: " + b"x\r\n " * 9000 + b"hot stuff",
        b"Subject: " + "\u200b".encode() * 9000 + b"hot stuff",
        "Subject: h\u200bot st\u00aduff".encode(),
        b"Subject: =?utf-8?q?h=00ot=C2=A0stuff?=",
        b"Subject: =?utf-16be?b?AGgAbwB0?= =?utf-8?q?_stuff?=",
    ],
)
def test_a_subject_is_found_however_it_is_written(fields: bytes) -> None:
    """SUBJ-04, PROC-22: several fields, beyond what is shown of it, and characters that no client shows."""
    data = b"From: a@b.example\r\n" + fields + b"\r\n\r\nhello\r\n"
    outcome = examined(data, subject=SubjectLines(True, ("*hot stuff",)))
    assert outcome.disposition is Disposition.DROP
    header = outcome.evidence.header
    assert all(len(one) <= limits.NAME_LEN for one in (header.subject, *header.other_subjects))


def test_plain_mail_has_a_small_evidence() -> None:
    outcome = examined(message())
    assert outcome.evidence.header.senders == ("alice@example.com",)
    assert len(msgspec.json.encode(outcome.evidence)) < 100
    assert (outcome.violations, outcome.disposition, outcome.reason) == ([], Disposition.DELIVER, "")


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        (b"Auto-Submitted: auto-replied", True),
        (b"auto-submitted: No (really)", False),
        (b"List-Id: <x.example>", True),
        (b"List-Unsubscribe: <mailto:x@example.com>", True),
        (b"Precedence: Bulk", True),
        (b"Precedence: first-class", False),
        (b"X-Auto-Response-Suppress: OOF, DR", True),
        (b"X-Auto-Response-Suppress: None", False),
        (b"Content-Type: multipart/report; boundary=x", True),
        (b"Listening: no", False),
        (b"X-List-Id: no", False),
    ],
)
def test_automatic_mail_is_told(field: bytes, automatic: bool) -> None:
    """RFC 3834: NTF-15 needs it."""
    assert examined(field + b"\r\n" + message()).evidence.header.automatic is automatic


def test_files_are_listed_with_every_name() -> None:
    """FILE-06: cleaned of what hides them."""
    data = (
        b"From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nt\r\n"
        b'--b\r\nContent-Type: application/pdf; name="a\xe2\x80\xaefdp.exe. . "\r\n'
        b"Content-Disposition: attachment; filename*=utf-8''C%3A%5Ctmp%5Cdir%2Fother%0A.doc; filename=plain%00.doc\r\n"
        b"\r\nMZ\0\0\r\n--b--\r\n"
    )
    (file,) = examined(data).evidence.files
    assert {"other.doc", "C:\\tmp\\dir/other.doc", "afdp.exe", "plain"} <= set(file.names)
    assert (file.part, file.top, file.type, file.encrypted) == ("2", "2", "pe", False)


def test_members_and_nested_mail_lie_in_their_attachment() -> None:
    attached = zipped({"d/m.txt": b"m"})
    inner = message("t\n", [("x.zip", attached)])
    found = {file.part: file for file in examined(nested(inner)).evidence.files}
    digest = hashlib.sha256(attached).hexdigest()
    assert found["2.2"] == File("2.2", "2", ("x.zip",), "zip", len(attached), sha256=digest)
    assert found["2.2/x.zip/d/m.txt"].names == ("d/m.txt", "m.txt") and not found["2.2"].is_top


def test_what_clients_show_as_an_attachment_is_one() -> None:
    """FILE-07: a file that a body spells out, and what Outlook packs together; not what a named text holds."""
    body = message("words\n" + uuencoded(b"MZ", "b.exe", b"\n").decode())
    outcome = examined(body, files=NAMES)
    assert [one.value for one in outcome.violations] == ["b.exe"]
    assert b"begin 644 DELETED0.TXT" in delivered(body, outcome)
    text = message("t\n", [("notes.txt", uuencoded(b"MZ", "b.exe"))])
    assert examined(text, files=NAMES).violations == []
    packed = message("t\n", [("winmail.dat", MAGIC + attachment("b.exe", b"MZ"))])
    outcome = examined(packed, files=NAMES)
    assert outcome.attachments_deleted == [("2", "winmail.dat", "file name")]
    assert b"winmail.dat: b.exe (*.exe)" in delivered(packed, outcome)


def test_the_evidence_is_bounded() -> None:
    """Crossed by one: files that violate something stay, then top-level ones."""
    members = {f"{number}.txt": b"" for number in range(FILES_KEPT)} | {"last.exe": b"x"}
    evidence = examined(message("t\n", [("a.zip", zipped(members))]), files=INSIDE).evidence
    assert (len(evidence.files), evidence.files_left_out) == (FILES_KEPT, 2)
    assert {"2", "2/a.zip/last.exe"} <= {file.part for file in evidence.files}
    long = {f"{number}{'n' * 1000}": b"" for number in range(100)}
    evidence = examined(message("t\n", [("a.zip", zipped(long))])).evidence
    assert 0 < sum(len(name) for file in evidence.files for name in file.names) <= limits.EVIDENCE_TEXT_LEN
    assert evidence.files_left_out == 101 - len(evidence.files)


def test_an_outcome_with_everything_travels() -> None:
    outcome = examined(message("t\n", [("e.exe", EICAR), ("a.zip", locked({"a": b"a"}))]), files=NAMES)
    assert len(outcome.violations) == 2
    frame = protocol.encode(protocol.ExamineAnswer(1, outcome))
    assert protocol.decode_answer(bytes(frame[protocol.HEADER_LEN :])) == protocol.ExamineAnswer(1, outcome)


# --- order and strength ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [MessageAction.DROP, MessageAction.FORWARD])
def test_what_policy_removes_reports_no_viruses(action: MessageAction) -> None:
    """PROC-02, PROC-16, PROC-18, SUBJ-03."""
    data = message("t\n", [("e.com", EICAR)], subject="=?utf-8?q?so_HOT?=")
    outcome = examined(data, subject=SubjectLines(True, ("*hot*",), action, TO))
    assert outcome.disposition.value == action.value
    assert (outcome.deleted, outcome.logged, outcome.splices, outcome.facts.matches) == ([], [], [], [])
    assert outcome.facts.verdict is Verdict.UNSCANNED and outcome.facts.unscanned[0].cause is Cause.BLOCKED
    assert outcome.reason == 'subject "*hot*": so HOT'
    assert [(one.criterion, one.forward) for one in outcome.violations] == [(Criterion.SUBJECT, TO)]


def test_log_only_goes_on_to_the_virus_scan() -> None:
    """PROC-17: an event, and the message goes on; later stages may still change it."""
    log = SubjectLines(True, ("*hot*",), MessageAction.LOG)
    plain = examined(message(subject="so hot"), subject=log)
    assert (plain.disposition, plain.splices, len(plain.violations)) == (Disposition.DELIVER, [], 1)
    infected = examined(message("t\n", [("e.com", EICAR)], subject="so hot"), subject=log)
    assert infected.deleted == [(VIRUS, "2")] and len(infected.violations) == 1


def test_what_is_held_is_scanned_so_that_a_release_is_safe() -> None:
    """PROC-19: hold is stronger than delete part, and what is released lacks that part."""
    data = message("t\n", [("e.com", EICAR)], subject="hot")
    outcome = examined(data, subject=SubjectLines(True, ("hot",), MessageAction.HOLD))
    assert outcome.disposition is Disposition.HOLD and outcome.deleted == [(VIRUS, "2")]
    assert walk(spliced(data, outcome.splices)).facts.verdict is Verdict.CLEAN


def test_the_strongest_action_is_taken_and_all_are_told() -> None:
    """PROC-19, PROC-20: in the order of the criteria."""
    data = message("t\n", [("a.zip", locked({"a": b"a"})), ("b.exe", b"MZ")], subject="hot")
    outcome = examined(
        data,
        subject=SubjectLines(True, ("hot",), MessageAction.FORWARD, TO),
        encrypted=Encrypted(action=ContainerAction.DROP),
        files=NAMES,
    )
    assert outcome.disposition is Disposition.DROP
    assert [one.criterion for one in outcome.violations] == [
        Criterion.SUBJECT,
        Criterion.ENCRYPTED,
        Criterion.FILE_NAME,
    ]


def test_policy_works_without_antivirus() -> None:
    """AV-01: nothing is matched, all else is as ever."""
    off = Antivirus(enabled=False)
    data = message("t\n", [("e.exe", EICAR), ("f.txt", EICAR), ("a.7z", SEVEN), ("b.zip", locked({"a": b"a"}))])
    outcome = examined(data, off, files=NAMES)
    after = delivered(data, outcome)
    assert outcome.attachments_deleted == [("2", "e.exe", "file name"), ("5", "b.zip", "encrypted")]
    assert (outcome.deleted, outcome.facts.matches) == ([], [])
    assert [one.cause for one in outcome.facts.unscanned] == [Cause.DISABLED]
    assert [part.filenames[0] for part in walk(after).facts.parts if part.filenames] == [
        "DELETED0.TXT",
        "f.txt",
        "a.7z",
        "DELETED1.TXT",
    ]
    assert examined(message(subject="x"), off, subject=SubjectLines(True, ("x",))).disposition is Disposition.DROP


def test_a_failure_inside_still_judges_the_subject() -> None:
    """SCAN-09: it could not be examined, but what is known of it counts."""

    class Broken(Matcher):
        def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
            raise MemoryError

    settings = Settings(blocking=Blocking(subject=SubjectLines(True, ("hot",))))
    outcome = examine(message(subject="hot"), Broken(), settings, clock=Clock())
    assert outcome.disposition is Disposition.DROP and outcome.facts.unscanned[0].cause is Cause.ENGINE
    assert "MemoryError" in outcome.reason and outcome.evidence.header.senders == ("alice@example.com",)


# --- file names -----------------------------------------------------------------------------------------------


def test_a_named_file_is_replaced_by_a_text() -> None:
    """FILE-01, FILE-04, FILE-05, META-06."""
    data = message("t\n", [("Setup.EXE", b"MZ\0\0"), ("fine.txt", b"fine")])
    outcome = examined(data, files=NAMES)
    after = delivered(data, outcome)
    assert outcome.attachments_deleted == [("2", "Setup.EXE", "file name")]
    assert b"removed the attachment Setup.EXE (*.exe) from" in after and b"DELETED0.TXT" in after
    assert b"MZ" not in after and walk(after).facts.parts[-1].filenames == ("fine.txt",)
    assert outcome.reason == 'file-name "*.exe": Setup.EXE, removed'


def test_without_a_text_nothing_is_left() -> None:
    """FILE-04."""
    data = message("t\n", [("a.exe", b"MZ\0\0"), ("fine.txt", b"fine")])
    after = delivered(data, examined(data, files=FileNames(enabled=True, add_text=False)))
    assert files(after) == ["2"] and b"DELETED" not in after


def test_files_inside_containers_stay_unless_the_option_is_on() -> None:
    """FILE-07."""
    data = message("t\n", [("a.zip", zipped({"b.exe": b"MZ", "c.txt": b"c"}))])
    assert examined(data, files=NAMES).violations == []
    outcome = examined(data, files=INSIDE)
    after = delivered(data, outcome)
    assert files(after) == ["2", "2/a.zip/DELETED0.TXT", "2/a.zip/c.txt"]
    assert outcome.attachments_deleted == [("2/a.zip/b.exe", "b.exe", "file name")]


@pytest.mark.parametrize(
    ("name", "content", "path"),
    [
        ("a.tar", tarred({"b.exe": b"MZ", "c.txt": b"c"}), "2/a.tar/DELETED0.TXT"),
        ("a.txt", b"words\r\n" + uuencoded(b"MZ", "b.exe") + b"more\r\n", "2/DELETED0.TXT"),
        ("a.tgz", gzipped(tarred({"b.exe": b"MZ", "c.txt": b"c"}), "a.tar"), "2/a.tgz/a.tar/DELETED0.TXT"),
    ],
)
def test_replacement_in_other_containers(name: str, content: bytes, path: str) -> None:
    """FILE-07, AV-10: where the format can be written, only the file goes."""
    data = message("t\n", [(name, content)])
    assert path in files(delivered(data, examined(data, files=INSIDE)))


def test_a_container_that_cannot_be_rewritten_goes_whole() -> None:
    """FILE-07, META-06: the text says which of the files in it match."""
    hidden = zipped({"b.exe": b"MZ"})
    irregular = hidden[: hidden.index(b"PK\x01\x02")] + zipped({"a": b"b"})
    data = message("t\n", [("x.zip", irregular), ("y.zip", zipped({"a.cmd": b"a", "b": b"b"}))])
    outcome = examined(data, files=INSIDE)
    after = delivered(data, outcome)
    assert [one[:2] for one in outcome.attachments_deleted] == [("2", "x.zip"), ("3/y.zip/a.cmd", "a.cmd")]
    assert b"x.zip: b.exe (*.exe)" in after and "3/y.zip/b" in files(after)


def test_a_name_that_only_some_clients_see_counts() -> None:
    """FILE-06, PROC-22: in whichever reading a client shows it."""
    data = message("t\n", [("a.txt", b"words")]).replace(
        b'filename="a.txt"', b'filename="a.txt"\r\nContent-Disposition: attachment; filename="b.exe"'
    )
    outcome = examined(data, files=NAMES)
    assert [one.value for one in outcome.violations] == ["b.exe"]
    assert b"words" not in delivered(data, outcome).split(b"DELETED0.TXT")[1]


def test_our_own_replacements_may_have_a_listed_name() -> None:
    data = message("t\n", [("a.txt", b"words")])
    outcome = examined(data, files=FileNames(enabled=True, names=("*.txt",)))
    assert b"a.txt (*.txt)" in delivered(data, outcome)


def test_thousands_of_named_files_take_no_longer_than_their_number() -> None:
    """FILE-07: one look at the tree for all of them."""
    members = {f"{number}.exe": b"" for number in range(3000)}
    data = message("t\n", [("a.zip", zipped(members))])
    outcome = examined(data, files=INSIDE)
    assert len(outcome.violations) == limits.FINDINGS and len(outcome.attachments_deleted) == limits.FINDINGS
    assert not [path for path in files(delivered(data, outcome)) if path.endswith(".exe")]


def test_what_cannot_be_removed_cannot_be_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    """FILE-07, ENC-02: it is never delivered as if it had been; SCAN-07 says what becomes of it."""

    def refuse(data: bytes, walk: Walk, *given: object) -> list[Splice]:
        raise CannotRewrite(walk.root)

    monkeypatch.setattr("engine.scan.cleaning.apply", refuse)
    outcome = examined(message("t\n", [("a.exe", b"MZ"), ("b.zip", locked({"a": b"a"}))]), files=NAMES)
    assert (outcome.disposition, outcome.splices, outcome.attachments_deleted) == (Disposition.HOLD, [], [])
    assert "2: engine (file name, cannot be removed)" in outcome.reason
    assert len(outcome.violations) == 2


# --- one rewrite for policy and antivirus ---------------------------------------------------------------------


def test_policy_and_antivirus_delete_in_one_rewrite() -> None:
    """PROC-02, AV-07, AV-11: what policy takes out is not scanned; the rest is."""
    inside = zipped({"e.com": EICAR, "x.exe": EICAR, "c.txt": b"c"})
    data = message("t\n", [("a.exe", EICAR), ("b.zip", inside), ("c.zip", locked({"a": b"a"})), ("d.bin", EICAR)])
    names = FileNames(enabled=True, in_containers=True, names=("*.exe",))
    outcome = examined(data, files=names)
    after = walk(delivered(data, outcome))
    assert outcome.deleted == [(VIRUS, "3/b.zip/e.com"), (VIRUS, "5")]
    assert [one.part for one in outcome.facts.matches] == ["3/b.zip/e.com", "5"]
    assert outcome.attachments_deleted == [
        ("2", "a.exe", "file name"),
        ("3/b.zip/x.exe", "x.exe", "file name"),
        ("4", "c.zip", "encrypted"),
        ("5", "d.bin", f"infected: {VIRUS}"),
    ]
    assert after.facts.verdict is Verdict.CLEAN
    assert "3/b.zip/c.txt" in [part.part for part in after.facts.parts]


def test_reasons_that_meet_in_one_container_are_both_told() -> None:
    """FILE-07, AV-07, META-06: what goes for two reasons leaves both texts."""
    hidden = zipped({"x.exe": b"MZ", "e.com": EICAR})
    irregular = hidden[: hidden.index(b"PK\x01\x02")] + zipped({"a": b"b"})
    data = message("t\n", [("b.zip", irregular)])
    outcome = examined(data, files=FileNames(enabled=True, in_containers=True, names=("*.exe",)))
    after = delivered(data, outcome)
    assert b"attachment b.zip: x.exe (*.exe) from" in after
    assert b"attachment b.zip from this message because it contained: EICAR" in after
    assert outcome.deleted == [(VIRUS, "2/b.zip/e.com")]
    assert outcome.attachments_deleted == [("2", "b.zip", "file name")]


def test_what_is_logged_only_stays_beside_what_policy_takes_out() -> None:
    """AV-04, AV-06: the final gate is for what is left."""
    data = message("t\n", [("a.exe", b"MZ"), ("e.com", EICAR)])
    names = FileNames(enabled=True, names=("*.exe",))
    log = Antivirus(detected=VirusAction.LOG, left_over=LeftoverAction.LOG)
    outcome = examined(data, log, files=names)
    assert (outcome.deleted, outcome.logged) == ([], [(VIRUS, "3")])
    assert walk(delivered(data, outcome)).facts.verdict is Verdict.INFECTED
    assert "only logged" in outcome.reason
    drop = Antivirus(detected=VirusAction.LOG, left_over=LeftoverAction.DROP)
    assert examined(data, drop, files=names).disposition is Disposition.DROP


# --- encrypted containers -------------------------------------------------------------------------------------


def test_an_encrypted_container_is_deleted_and_the_message_delivered() -> None:
    """ENC-01..04, META-06: one encrypted member is enough."""
    data = message("t\n", [("a.zip", locked({"a": b"a", "b": b"b"}, only="b")), ("c.txt", b"c")])
    outcome = examined(data)
    after = delivered(data, outcome)
    assert outcome.attachments_deleted == [("2", "a.zip", "encrypted")]
    assert b"removed the attachment a.zip from this message: it is encrypted" in after
    assert walk(after).facts.verdict is Verdict.CLEAN and outcome.facts.verdict is Verdict.CLEAN
    plain = delivered(data, examined(data, encrypted=Encrypted(add_text=False)))
    assert files(plain) == ["2"]


def test_at_depth_only_the_inner_container_goes() -> None:
    """ENC-01, AV-10."""
    data = message("t\n", [("a.zip", zipped({"in.zip": locked({"s": b"s"}), "c.txt": b"c"}))])
    outcome = examined(data)
    assert files(delivered(data, outcome)) == ["2", "2/a.zip/DELETED0.TXT", "2/a.zip/c.txt"]
    assert outcome.attachments_deleted == [("2/a.zip/in.zip", "in.zip", "encrypted")]
    assert [file.part for file in outcome.evidence.files if file.encrypted] == ["2/a.zip/in.zip"]


@pytest.mark.parametrize("action", [ContainerAction.DROP, ContainerAction.FORWARD, ContainerAction.HOLD])
def test_other_actions_on_encryption(action: ContainerAction) -> None:
    """ENC-02."""
    outcome = examined(message("t\n", [("a.zip", locked({"a": b"a"}))]), encrypted=Encrypted(action=action, forward=TO))
    assert outcome.disposition.value == action.value and "a.zip" in outcome.reason and outcome.splices == []


@pytest.mark.parametrize("unscanned", UnscannedAction)
def test_log_only_delivers_what_is_encrypted(unscanned: UnscannedAction) -> None:
    """ENC-05: SCAN-07 is not applied in addition; the facts say that it was not scanned."""
    log = Encrypted(action=ContainerAction.LOG)
    antivirus = Antivirus(unscanned=unscanned)
    data = message("t\n", [("a.zip", locked({"a": b"a"}))])
    outcome = examined(data, antivirus, encrypted=log)
    assert (outcome.disposition, outcome.splices, outcome.reason) == (Disposition.DELIVER, [], "")
    assert [one.cause for one in outcome.facts.unscanned] == [Cause.ENCRYPTED] and len(outcome.violations) == 1
    also = examined(message("t\n", [("a.zip", locked({"a": b"a"})), ("b.7z", SEVEN)]), antivirus, encrypted=log)
    assert also.disposition.value == unscanned.value and "encrypted" not in also.reason


def test_with_the_criterion_off_it_cannot_be_processed() -> None:
    """SCAN-07."""
    outcome = examined(message("t\n", [("a.zip", locked({"a": b"a"}))]), encrypted=Encrypted(enabled=False))
    assert outcome.disposition is Disposition.HOLD and "encrypted (zip)" in outcome.reason


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", document(stream(4, b"x"), trailer=b"/Encrypt 5 0 R")),
        ("a.docx", compound({"EncryptedPackage": b"x" * 5000, "EncryptionInfo": b"i" * 200})),
        ("a.odt", zipped({"META-INF/manifest.xml": b"<manifest:encryption-data/>", "content.xml": b"x"})),
        ("a.rar", rar5({"a": b"a"}, encrypted=True)),
    ],
)
def test_encrypted_documents_count(name: str, content: bytes) -> None:
    """ENC-07: office documents and PDF; ENC-01: archives of every kind."""
    data = message("t\n", [(name, content)])
    outcome = examined(data)
    assert outcome.attachments_deleted == [("2", name, "encrypted")]
    assert outcome.disposition is Disposition.DELIVER and name.encode() in delivered(data, outcome)


def test_names_in_encrypted_containers_still_count() -> None:
    """FILE-07: they are visible."""
    data = message("t\n", [("a.zip", locked({"b.exe": b"MZ"}))])
    outcome = examined(data, files=INSIDE, encrypted=Encrypted(action=ContainerAction.LOG))
    assert [one.criterion for one in outcome.violations] == [Criterion.ENCRYPTED, Criterion.FILE_NAME]
    assert files(delivered(data, outcome)) == ["2", "2/a.zip/DELETED0.TXT"]


PGP = b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA7Vq\r\n=aaaa\r\n-----END PGP MESSAGE-----\r\n"
SEALED = (
    b"From: a@example.com\r\nMIME-Version: 1.0\r\nSubject: s\r\n"
    b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\r\n\r\n'
    b"--e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    b"--e\r\nContent-Type: application/octet-stream\r\n\r\n" + PGP + b"\r\n--e--\r\n"
)


def test_end_to_end_encryption_is_an_option() -> None:
    """ENC-06."""
    outcome = examined(SEALED)
    assert (outcome.violations, outcome.disposition) == ([], Disposition.DELIVER)
    sealed = examined(SEALED, encrypted=Encrypted(end_to_end=True, action=ContainerAction.DROP))
    assert sealed.disposition is Disposition.DROP
    taken = examined(SEALED, encrypted=Encrypted(end_to_end=True))
    after = delivered(SEALED, taken)
    assert b"PGP MESSAGE" not in after and b"Subject: s" in after
    assert examined(SEALED, encrypted=Encrypted(enabled=False, end_to_end=True)).disposition is Disposition.DELIVER


def test_signed_mail_never_counts() -> None:
    """ENC-06."""
    signed = (
        b"From: a@example.com\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=e\r\n\r\n'
        b"--e\r\n\r\nwords\r\n--e\r\nContent-Type: application/pgp-signature; name=signature.asc\r\n\r\n"
        b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n=aaaa\r\n-----END PGP SIGNATURE-----\r\n--e--\r\n"
    )
    assert examined(signed, encrypted=Encrypted(end_to_end=True)).violations == []


# --- container limits -----------------------------------------------------------------------------------------


def deep(levels: int) -> bytes:
    content, name = b"words", "w.txt"
    for number in range(levels):
        content, name = zipped({name: content}), f"{number}.zip"
    return message("t\n", [(name, content)])


BOMB = zipped({"zeros": bytes(3 * limits.MIB)})
LIMITS = [
    (ContainerLimits(depth=4), deep(5), "extraction depth 4"),
    (ContainerLimits(file_mb=2), message("t\n", [("a.zip", BOMB)]), "file size 2 MB"),
    (ContainerLimits(total_mb=4), message("t\n", [("a.zip", BOMB), ("b.zip", BOMB)]), "total size 4 MB"),
    (ContainerLimits(files=3), message("t\n", [("a.zip", zipped(dict.fromkeys("abcd", b"x")))]), "3 files"),
    (
        ContainerLimits(ratio=100, ratio_on=True),
        message("t\n", [("a.zip", BOMB)]),
        "compression ratio 100:1",
    ),
    (ContainerLimits(ratio=100, ratio_on=True), message("t\n", [("a.gz", gzipped(bytes(10**6)))]), "compression ratio"),
]


@pytest.mark.parametrize(("containers", "data", "named"), LIMITS)
def test_a_limit_that_is_exceeded_drops_the_message(containers: ContainerLimits, data: bytes, named: str) -> None:
    """PROC-23, CONT-03, CONT-04, CONT-05, CONT-06, CONT-08, CONT-09, CONT-11: the limit is named in the reason."""
    outcome = examined(data, containers=containers)
    assert outcome.disposition is Disposition.DROP
    assert outcome.evidence.limit.startswith(named) and named in outcome.reason
    (violation,) = outcome.violations
    assert violation.criterion is Criterion.CONTAINER_LIMIT and violation.parts
    off = msgspec.structs.replace(
        containers, depth_on=False, file_on=False, total_on=False, files_on=False, ratio_on=False
    )
    assert examined(data, containers=off).violations == []


def test_time_is_a_limit_too() -> None:
    """CONT-07."""
    data = message("t\n", [(str(number), b"x") for number in range(40)])
    limited = Settings(blocking=Blocking(containers=ContainerLimits(time_s=30)))
    outcome = examine(data, Matcher(), limited, clock=Clock(1))
    assert outcome.disposition is Disposition.DROP and outcome.evidence.limit == "time 30 s"
    unlimited = Settings(blocking=Blocking(containers=ContainerLimits(time_s=30, time_on=False)))
    assert examine(data, Matcher(), unlimited, clock=Clock(1)).violations == []


@pytest.mark.parametrize("unscanned", UnscannedAction)
def test_log_only_leaves_the_rest_to_the_policy_for_what_cannot_be_processed(unscanned: UnscannedAction) -> None:
    """CONT-08."""
    containers = ContainerLimits(depth=4, action=MessageAction.LOG)
    outcome = examined(deep(5), Antivirus(unscanned=unscanned), containers=containers)
    assert outcome.disposition.value == unscanned.value and len(outcome.violations) == 1


def test_a_ceiling_of_the_engine_is_no_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-02: what is off, or set above what the engine bears, is bounded all the same (SCAN-07)."""
    monkeypatch.setattr(limits, "SCAN_DEPTH_CEILING", 4)
    for containers in (ContainerLimits(depth_on=False), ContainerLimits(depth=1000)):
        outcome = examined(deep(5), containers=containers)
        assert (outcome.disposition, outcome.violations, outcome.evidence.limit) == (Disposition.HOLD, [], "")
        assert "extraction depth 4" in outcome.reason
    assert examined(deep(4), containers=ContainerLimits(depth_on=False)).disposition is Disposition.DELIVER


def test_each_entry_of_overlapping_ones_counts_by_itself() -> None:
    """CONT-11: a ratio is of one file, however many entries share its octets."""
    containers = ContainerLimits(ratio=2000, ratio_on=True)  # deflate cannot reach it
    assert examined(message("t\n", [("a.zip", BOMB)]), containers=containers).violations == []


def test_the_first_limit_is_the_one_that_is_named() -> None:
    """CONT-09, CONT-10: nothing is expanded past it."""
    matcher = Matcher()
    many, large = zipped(dict.fromkeys("abc", b"x")), zipped({"z": bytes(limits.MIB * 2)})
    data = message("t\n", [("a.zip", many), ("b.zip", large)])
    settings = Settings(blocking=Blocking(containers=ContainerLimits(files=2, file_mb=1)))
    outcome = examine(data, matcher, settings, clock=Clock())
    assert (outcome.evidence.limit, outcome.evidence.limit_part) == ("2 files", "2")
    assert max(len(octets) for _, octets in matcher.seen) <= limits.MIB
