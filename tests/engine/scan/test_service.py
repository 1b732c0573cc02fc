"""examine(): the whole of a scanner's work on one message, as the pipeline sees it."""

import msgspec
import pytest

from engine.config import Antivirus, Blocking, ContainerLimits, LeftoverAction, Settings, UnscannedAction, VirusAction
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan import service
from engine.scan.facts import Cause, Verdict
from engine.scan.outcome import Outcome
from engine.scan.service import examine
from tests.engine.scan.material import EICAR, VIRUS, Clock, Matcher, message, walk, zipped

HIDDEN = zipped({"h": EICAR})
IRREGULAR = HIDDEN[: HIDDEN.index(b"PK\x01\x02")] + zipped({"a": b"b"})  # cannot be rewritten inside
SEVEN = b"7z\xbc\xaf\x27\x1c" + bytes(40)


def examined(data: bytes, limits: ContainerLimits | None = None, **antivirus: object) -> Outcome:
    settings = Settings(antivirus=Antivirus(**antivirus), blocking=Blocking(containers=limits or ContainerLimits()))  # type: ignore[arg-type]
    return examine(data, Matcher(), settings, clock=Clock())


def test_clean() -> None:
    outcome = examined(message())
    assert (outcome.disposition, outcome.reason, outcome.splices) == (Disposition.DELIVER, "", [])
    assert outcome.facts.verdict is Verdict.CLEAN and outcome.facts.subject == "a subject"
    assert outcome.facts.parts == []
    assert examine(message(), Matcher(), Settings(), parts=True).facts.parts


def test_an_infected_attachment_is_deleted() -> None:
    """AV-08: by default, where nothing can repair it."""
    data = message("t\n", [("e.com", EICAR)])
    outcome = examined(memoryview(bytearray(data)))  # type: ignore[arg-type]
    assert outcome.disposition is Disposition.DELIVER
    assert outcome.deleted == [(VIRUS, "2")]
    assert outcome.attachments_deleted == [("2", "e.com", f"infected: {VIRUS}")]
    assert outcome.reason == f"infected: {VIRUS} in 2, removed"
    assert walk(spliced(data, outcome.splices)).facts.verdict is Verdict.CLEAN
    assert outcome.facts.verdict is Verdict.INFECTED  # of the message as it came


def test_a_member_is_deleted_and_its_attachment_stays() -> None:
    """AV-09, AV-11: files in containers are treated one by one."""
    outcome = examined(message("t\n", [("x.zip", zipped({"a": b"a", "e.com": EICAR}))]))
    assert outcome.deleted == [(VIRUS, "2/x.zip/e.com")] and outcome.attachments_deleted == []


def test_what_cannot_be_rewritten_loses_its_attachment() -> None:
    data = message("t\n", [("x.zip", IRREGULAR), ("y.zip", zipped({"a": b"a", "e": EICAR}))])
    outcome = examined(data)
    assert outcome.disposition is Disposition.DELIVER
    assert [one[:2] for one in outcome.attachments_deleted] == [("2", "x.zip")]
    assert outcome.deleted == [(VIRUS, "2/x.zip/h"), (VIRUS, "3/y.zip/e")]
    after = walk(spliced(data, outcome.splices))
    assert after.facts.verdict is Verdict.CLEAN
    assert "3/y.zip/a" in [part.part for part in after.facts.parts]


def test_many_that_cannot_be_rewritten_end_soon() -> None:
    outcome = examined(message("t\n", [(f"{number}.zip", IRREGULAR) for number in range(12)]))
    assert outcome.disposition is Disposition.DELIVER and len(outcome.attachments_deleted) == 12


@pytest.mark.parametrize(("left_over", "disposition"), [("drop", Disposition.DROP), ("log", Disposition.DELIVER)])
def test_what_cannot_be_removed_at_all_meets_the_final_gate(left_over: str, disposition: Disposition) -> None:
    data = b"Subject: " + EICAR + b"\r\n\r\nwords\r\n"
    outcome = examined(data, left_over=LeftoverAction(left_over))
    assert outcome.disposition is disposition
    assert (outcome.splices, outcome.deleted, outcome.logged) == ([], [], [(VIRUS, "1")])


def test_log_only() -> None:
    outcome = examined(message("t\n", [("e", EICAR)]), detected=VirusAction.LOG, left_over=LeftoverAction.LOG)
    assert (outcome.disposition, outcome.splices, outcome.logged) == (Disposition.DELIVER, [], [(VIRUS, "2")])


@pytest.mark.parametrize("action", UnscannedAction)
def test_what_is_unscanned_after_deleting_is_judged_too(action: UnscannedAction) -> None:
    outcome = examined(message("t\n", [("e", EICAR), ("a.7z", SEVEN)]), unscanned=action)
    assert outcome.disposition.value == action.value
    assert outcome.deleted == [(VIRUS, "2")]
    assert bool(outcome.splices) == (action in (UnscannedAction.DELIVER, UnscannedAction.HOLD))


def test_an_unscanned_container_that_is_deleted_leaves_nothing_unscanned() -> None:
    inside = zipped({"a.7z": SEVEN, "e.pdf.exe": EICAR})
    assert examined(message("t\n", [("x.zip", inside)])).disposition is Disposition.HOLD
    assert examined(message("t\n", [("x.pdf.exe", inside)])).disposition is Disposition.DELIVER


def test_scanning_off() -> None:
    outcome = examined(message("t\n", [("e", EICAR)]), enabled=False)
    assert outcome.disposition is Disposition.DELIVER
    assert outcome.facts.verdict is Verdict.UNSCANNED and outcome.facts.subject == "a subject"
    assert outcome.facts.unscanned[0].cause is Cause.DISABLED


def test_a_failure_inside_is_never_clean() -> None:
    class Broken(Matcher):
        def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
            raise MemoryError("no room")

    outcome = examine(message(), Broken(), Settings(), clock=Clock())
    assert outcome.facts.verdict is Verdict.UNSCANNED
    assert outcome.facts.unscanned[0].cause is Cause.ENGINE
    assert outcome.disposition is Disposition.HOLD
    assert "MemoryError: no room" in outcome.reason and outcome.facts.subject == "a subject"


def test_all_walks_share_one_limit_on_time() -> None:
    data = message("t\n", [("e", EICAR)] + [(str(n), b"x") for n in range(20)])
    settings = Settings(blocking=Blocking(containers=ContainerLimits(time_s=50)))
    outcome = examine(data, Matcher(), settings, clock=Clock(step=1.0))
    assert outcome.disposition is Disposition.HOLD  # found and removed, but the second walk did not end
    assert "time 50 s" in outcome.reason


def test_an_outcome_travels() -> None:
    outcome = examined(message("t\n", [("e", EICAR)]))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(outcome), type=Outcome)
    assert again == outcome


def test_the_header_section_of_what_is_not_examined() -> None:
    """SCAN-07: service._HEADER_LEN: so much of it is still judged, and not an octet more."""
    start, end = b"X: ", b"\r\nSubject: words"
    for longer, subject in ((0, "words"), (1, "word")):
        data = start + b"x" * (service._HEADER_LEN - len(start + end) + longer) + end + b"\r\n\r\ntext\r\n"
        assert service._not_examined(data, "no room", Settings()).facts.subject == subject
