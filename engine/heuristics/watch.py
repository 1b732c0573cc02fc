"""Goes with one walk: a sheet of features for each content that is open, judged when it is closed (AV-03).

    walk opens an archive     -> a sheet
      and a script in it      -> a sheet, its features, judged; the archive's sheet notes that it holds a script
    walk closes the archive   -> its sheet, judged

What a document is made of (modules of macros, objects, scripts of a PDF) is no file: its features go to the sheet of
the document. A member of an archive is alone if there are few beside it, which is known only when the archive is
closed: what is suspicious only if it is alone waits for that.

Plain text of a message costs a look at its type: it is kept, a piece of it, in case something is encrypted.
"""

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from engine import limits
from engine.config import Antivirus
from engine.heuristics import names, other, program, shortcut, texts
from engine.heuristics.rules import Rules, rules_of
from engine.scan.facts import Suspicion
from engine.scan.mapped import Octets
from engine.scan.node import ENTITY, MARGIN, MEMBER, Node

if TYPE_CHECKING:
    from engine.scan.budget import Budget
    from engine.scan.ledger import Ledger
    from engine.scan.matcher import Matcher

ALONE: Final = 4  # files in an archive up to which each of them counts as alone
TEXTS: Final = 8  # texts of a message in which passwords are looked for
TEXT_LEN: Final = 32 * 1024  # octets of each
CLOSED: Final = 20  # encrypted containers of a message that are judged
DISK_LEN: Final = 32 << 20  # octets of a disk image that is not opened in which programs are looked for

_SUBJECTS: Final = {
    "pe": "program", "lnk": "shortcut", "onenote": "onenote", "pdf": "pdf", "rtf": "rtf", "html": "html",
    "ole": "document", "mail": "",
    **dict.fromkeys(("png", "gif", "jpeg", "bmp", "tiff"), "picture"),
    **dict.fromkeys(("iso", "udf", "vhd", "vhdx", "vmdk", "dmg"), "disk"),
    **dict.fromkeys(("zip", "rar", "7z", "cab", "tar", "gzip", "lha", "arj", "ace", "bzip2", "xz", "zstd", "lzma"),
                    "archive"),
}  # fmt: skip
# What a script may begin with: its name says how it is opened.
_FRONTS: Final = frozenset({"html", "pdf", "rtf", "mail"})
_BODY: Final = frozenset({"text", "html"})
_TEXTUAL: Final = frozenset({"text", "data", "html", "script", "mail"})
_HOLDS: Final = {
    "program": "holds.program", "script": "holds.script", "shortcut": "holds.shortcut", "html": "holds.html",
    "document": "holds.document", "pdf": "holds.document", "rtf": "holds.document", "archive": "holds.archive",
    "disk": "holds.archive", "picture": "holds.picture",
}  # fmt: skip
_CLOSED: Final = {"archive": "closed.archive", "document": "closed.document", "pdf": "closed.document"}
_MARKED: Final = {"program": "pe", "script": "script", "module": "script", "html": "html", "rtf": "rtf",
                  "shortcut": "lnk"}  # fmt: skip
_ALSO: Final = frozenset({"picture", "pdf", "rtf", "shortcut"})
_LURES: Final = ("name.double", "name.double-script", "name.hidden-end", "name.gap")
_SMUGGLED: Final = "odd.html-smuggling"
_DIGEST_LEN: Final = 64  # hexadecimal digits
_NOT_MERGED: Final = ("name.", "place.")


_NOT_READ: Final = Rules.__new__(Rules)  # stands for rules that nobody asked for yet


class _Sheet:
    """Of one content that is open. piece: it is a part of a document, not a file."""

    __slots__ = ("features", "files", "node", "piece", "subject", "waiting")

    def __init__(self, node: Node, subject: str, piece: bool) -> None:
        self.node = node
        self.subject = subject
        self.piece = piece
        self.features: dict[str, int] = {}
        self.files = 0
        self.waiting: list[tuple[Node, list[Suspicion]]] = []


class Watch:
    """One for each walk. Nothing is raised on content but OutOfTime. closed: encrypted containers, with what is known.

    image: its annex is read when something is first judged; without one nothing is suspicious.
    """

    __slots__ = ("_budget", "_image", "_ledger", "_open", "_rules", "_settings", "_texts", "closed")

    def __init__(self, image: "Matcher", settings: Antivirus, ledger: "Ledger", budget: "Budget") -> None:
        self._image = image
        self._settings = settings
        self._ledger = ledger
        self._budget = budget
        self._rules: Rules | None = _NOT_READ
        self._open: list[_Sheet] = []
        self._texts: tuple[tuple[Octets, int, int], ...] = ()
        self.closed: dict[int, tuple[Node, dict[str, int]]] | None = None

    # --- while the walk goes on -------------------------------------------------------------------------

    def open(self, node: Node, kind: str, buf: Octets, start: int, end: int) -> _Sheet | None:
        """Content of node is about to be examined. None: there is nothing to be judged about it."""
        if not node.names and kind in _BODY and (node.role == ENTITY or node.role == MARGIN):
            if len(self._texts) < TEXTS:
                if len(buf) > TEXT_LEN:  # so as not to keep all of it
                    buf, start, end = buf[start : min(end, start + TEXT_LEN)], 0, min(end - start, TEXT_LEN)
                self._texts += ((buf, start, end),)
            if kind == "text":
                return None
        over = self._open[-1] if self._open else None
        piece = over is not None and node.role == MEMBER and (not node.names or _is_document(over))
        subject = self._subject(node, kind, over, piece)
        if piece and subject == "file":
            return None  # what is remarked on it is remarked on the document
        sheet = _Sheet(node, subject, piece)
        self._open.append(sheet)
        return sheet

    def _subject(self, node: Node, kind: str, over: _Sheet | None, piece: bool) -> str:
        if piece and over is not None and kind in _TEXTUAL:
            if over.subject == "archive":
                return "file"  # of a document: nobody starts it
            if over.subject == "document" and node.part.endswith(".bas"):
                return "module"
            if over.subject == "pdf" and node.part.endswith(".js"):
                return "module"
            if over.subject == "script" and node.part.endswith("/utf-8"):
                return "module"
        if (subject := _SUBJECTS.get(kind)) is not None:
            if kind in _FRONTS and _is_script(node):
                return "script"
            if kind == "ole" and any(map(names.holds_files, node.names)):
                return "archive"
            return subject
        if kind not in _TEXTUAL or not _is_script(node):
            return "file"  # also scripts of Unix: mail programs do not start them
        return "script"

    def odd(self, kind: str) -> None:
        """An opener remarked on the content that is open."""
        if self._open and (feature := f"odd.{kind}") in _REMARKS:
            self._open[-1].features[feature] = 1

    def encrypted(self, node: Node, container: Node) -> None:
        """node, which is container or a member of it, cannot be read without a password."""
        if self.closed is None:
            self.closed = {}
        if id(container) not in self.closed and len(self.closed) == CLOSED:
            return
        subject = "document" if container.document else _SUBJECTS.get(container.type, "")
        if (feature := _CLOSED.get(subject)) is None:
            return  # such as a message that is encrypted for its reader
        _, found = self.closed.setdefault(id(container), (container, {feature: 1}))
        if node is not container:
            said: dict[str, int] = {}
            names.features(node.names, said)
            if "name.program" in said:
                found["closed.program"] = found.get("closed.program", 0) + 1
            if "name.script" in said:
                found["closed.script"] = found.get("closed.script", 0) + 1

    def close(self, sheet: _Sheet, kind: str, buf: Octets, start: int, end: int) -> None:
        """The content of the sheet's node was examined."""
        self._open.pop()
        node = sheet.node
        if (
            sheet.subject == "html"
            and node.role == ENTITY
            and not node.names
            and "odd.html-smuggling" not in sheet.features
        ):
            return  # the text of a message: clients run no script in it
        for waits, suspicions in sheet.waiting:
            self._report(waits, suspicions)
        if sheet.subject == "archive" and node.document:
            sheet.subject = "document"
        if (rules := self._read()) is None:
            return
        self._look(rules, sheet, kind, buf, start, end)
        over = self._open[-1] if self._open else None
        flagged = bool(node.viruses) or (
            sheet.subject not in ("", "module")
            and not sheet.piece
            and self._judge(rules, sheet, kind, over, buf[start:end])
        )
        if over is not None:
            _pass_on(sheet, over, flagged)

    def _look(self, rules: Rules, sheet: _Sheet, kind: str, buf: Octets, start: int, end: int) -> None:
        """Gather what the content says of itself."""
        node, found, subject = sheet.node, sheet.features, sheet.subject
        if not sheet.piece:
            names.features(node.names, found)
        if subject in ("", "archive", "file", "document"):
            return
        self._budget.check_time()
        octets = looked_at = buf[start:end]
        if subject == "program":
            looked_at = program.features(octets, found)
        elif subject == "shortcut":
            shortcut.features(octets, found)
        elif subject == "disk" and kind != "iso" and octets.find(other.STUB, 0, DISK_LEN) >= 0:
            found["holds.program"] = 1
        if subject in _ALSO:
            other.features(octets, kind, found)
        if node.format == "zip" and kind not in ("zip", "pe"):
            found["also.archive"] = 1
        if (target := _MARKED.get(subject)) is None:
            return
        looked_at = texts.ends(looked_at)
        _mark(rules, looked_at, target, found)
        if kind == "html" and target != "html":  # a page, and called like a script
            _mark(rules, looked_at, "html", found)
        if target == "script":
            if texts.features(octets, found) and _mark(rules, texts.joined(looked_at), target, found):
                found["text.hidden-words"] = 1
        elif subject == "html" and rules.possible(subject, found):
            texts.features(octets, found)

    def _read(self) -> Rules | None:
        if self._rules is _NOT_READ:
            self._rules = rules_of(self._image)
        return self._rules

    # --- judging ----------------------------------------------------------------------------------------

    def _judge(self, rules: Rules, sheet: _Sheet, kind: str, over: _Sheet | None, octets: bytes) -> bool:
        """Returns whether it was reported."""
        node, found = sheet.node, sheet.features
        container = over.node if over is not None and over.subject in ("archive", "disk") else None
        if container is None:
            found["place.attached"] = 1
        else:
            found["place.archived"] = 1
        found["place.alone"] = 1
        subjects = ("script", "html") if sheet.subject == "script" and kind == "html" else (sheet.subject,)
        suspicions = self._wanted(rules, subjects, found, octets)
        if not suspicions:
            return False
        if container is not None and over is not None:
            del found["place.alone"]
            anyway = self._wanted(rules, subjects, found, b"")
            if not anyway:
                if over.files < ALONE:
                    over.waiting.append((node, suspicions))
                return False
            suspicions = anyway
        self._report(node, suspicions)
        return True

    def _wanted(self, rules: Rules, subjects: tuple[str, ...], found: dict[str, int], octets: bytes) -> list[Suspicion]:
        """What is suspicious, and not exempt."""
        level, exempt = self._settings.heuristics, self._settings.heuristics_exempt
        left = [one for subject in subjects for one in rules.judge(subject, found, level) if one.name not in exempt]
        digests = {one.lower() for one in exempt if len(one) == _DIGEST_LEN} if left and octets else ()
        return [] if digests and hashlib.sha256(octets).hexdigest() in digests else left

    def _report(self, node: Node, suspicions: list[Suspicion]) -> None:
        kept = self._ledger.facts.suspicions
        for one in suspicions:
            if len(kept) < limits.SUSPICIONS:
                kept.append(msgspec.structs.replace(one, part=node.part, reasons=one.reasons[: limits.REASONS]))
        self._ledger.matched(node, tuple(one.name for one in suspicions))

    def finish(self) -> None:
        """The walk has ended: what is encrypted is judged by what the text of the message says."""
        rules = self._read()
        if rules is None or self.closed is None:
            return
        said: dict[str, int] = {}
        for buf, start, end in self._texts:
            _mark(rules, buf[start:end], "text", said)
        for node, found in self.closed.values():
            if not node.viruses:
                found.update(said)
                names.features(node.names, found)
                self._report(node, self._wanted(rules, ("closed",), found, b""))


def _mark(rules: Rules, octets: bytes, target: str, found: dict[str, int]) -> bool:
    """Look for marks; returns whether there are new ones.

    Regular expressions among them are bounded: what takes too long is a mark that is not found.
    """
    before = len(found)
    with contextlib.suppress(TimeoutError):
        found.update(dict.fromkeys(rules.marks.scan(octets, target), 1))
    return len(found) > before


def _is_document(sheet: _Sheet) -> bool:
    """Whether its members are parts of one document though they have names: of a zip that is one."""
    return bool(sheet.node.document)


def _is_script(node: Node) -> bool:
    return any(map(names.runs, node.names))


def _pass_on(sheet: _Sheet, over: _Sheet, flagged: bool) -> None:
    """Tell the sheet of the container what was in it."""
    if sheet.piece:
        if sheet.subject == "html" and over.subject == "file" and sheet.node.part.endswith("/utf-8"):
            over.subject = "html"  # a page in UTF-16
        if not flagged:
            for feature, number in sheet.features.items():
                if not feature.startswith(_NOT_MERGED) and over.features.get(feature, -1) < number:
                    over.features[feature] = number
        if sheet.subject in ("program", "script", "shortcut"):
            _count(over, _HOLDS[sheet.subject])
        return
    over.files += 1
    if over.files > ALONE:
        over.waiting.clear()
    _count(over, "holds.files")
    if (holds := _HOLDS.get(sheet.subject)) is not None:
        _count(over, holds)
    if sheet.subject != "program" and "name.program" in sheet.features:
        _count(over, "holds.program")
    if sheet.subject == "file" and "name.script" in sheet.features:
        _count(over, "holds.script")
    if any(lure in sheet.features for lure in _LURES):
        _count(over, "holds.misleading-name")


def _count(sheet: _Sheet, feature: str) -> None:
    sheet.features[feature] = sheet.features.get(feature, 0) + 1


_REMARKS: Final = frozenset(
    "odd." + one
    for one in (
        "html-smuggling", "macro-basic", "macro-vba", "macro-xlm", "pdf-additional-actions",
        "pdf-embedded-file", "pdf-javascript", "pdf-launch", "pdf-open-action", "rtf-ambiguous",
        "vba-module-without-source",
    )
)  # fmt: skip
