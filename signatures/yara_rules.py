"""YARA rules as sources: checked one by one, so that a bad rule does not take its file along, and carried as text.

taken = read([("a.yar", text)])
image.build(signatures, annexes=annexes(taken))

Every mistake is listed with its line. libyara tells only the first one of a text: the rule that has it is taken out,
and the rest is looked at again.

Rules are also written to find content of a kind rather than malware ("a mail without links"). One that matches one of a
few harmless things is such a rule: it would stop all mail, and is left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec
import yara

from signatures.diagnostics import SourceError

ANNEX: Final = "yara"
VERSION: Final = 1
SUFFIXES: Final = (".yar", ".yara", ".rule")
MODULES: Final = ("pe", "elf", "dotnet", "math", "hash", "string", "time")  # those that see octets only
MOST_ERRORS: Final = 200  # of one file
SOURCE_LEN: Final = 16 << 20
PREFIX: Final = "YARA."  # of the names that are reported
_PROBE_S: Final = 2
_EAGER: Final = (
    "matches harmless content",
    "it finds a kind of content, not malware, and would stop all mail of that kind",
)

_DOS = b"MZ" + bytes(58) + b"\x40\0\0\0"
_PE = _DOS + b"PE\0\0\x4c\x01\x01\0" + bytes(12) + b"\xe0\0\x02\x01\x0b\x01" + bytes(222) + b".text\0\0\0" + bytes(544)
_MAIL = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
_MIXED = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n'
_ATTACHED = b'Content-Type: image/png; name="a.png"\r\nContent-Disposition: attachment\r\n\r\n\x89PNG\r\n--b--\r\n'
_PDF = (
    b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
    b"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000054 00000 n \n"
    b"trailer\n<</Size 3/Root 1 0 R>>\nstartxref\n100\n%%EOF\n"
)
HARMLESS: Final = (
    b"",
    b"hello, how are you?\r\n",
    _MAIL + b"Content-Type: text/plain\r\n\r\nhello, see https://www.example.org/page\r\n",
    _MAIL + _MIXED + _ATTACHED,
    b'<html><body><p>hello</p><a href="https://www.example.org/">example</a></body></html>\n',
    b"PK\x05\x06" + bytes(18),
    _PDF,
    _PE,
)

_START = re.compile(r"^[ \t]*(?:(?:global|private)\s+)*rule\s+(\w+)", re.M)
_IMPORT = re.compile(r'^[ \t]*import\s*"([^"]*)"', re.M)
_INCLUDE = re.compile(r'^[ \t]*include\s*"[^"]*"', re.M)
_LINE = re.compile(r"line (\d+): (.*)", re.S)


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Rules of one file, in a namespace of its own."""

    namespace: str
    text: str


class Annex(msgspec.Struct, frozen=True, array_like=True):
    sources: tuple[Source, ...]
    version: int = VERSION


@dataclass(frozen=True, slots=True, order=True)
class RuleError(SourceError):
    """rule: the one that was left out for it, empty if it is no single one."""

    rule: str = ""


@dataclass(slots=True)
class Taken:
    """sources: what compiles of each file; rules: names that can be found; errors: what was left out, and why."""

    sources: list[Source] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)

    def add(self, other: "Taken") -> None:
        """Files of one name get namespaces of their own."""
        known = {source.namespace for source in self.sources}
        for source in other.sources:
            name, number = source.namespace, 2
            while name in known:
                name, number = f"{source.namespace}~{number}", number + 1
            known.add(name)
            self.sources.append(Source(name, source.text))
        self.rules += other.rules
        self.errors += other.errors


def _error(path: str, text: str, line: int, message: str, hint: str = "", rule: str = "") -> RuleError:
    lines = text.split("\n")
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return RuleError(path, max(line, 1), 1, message, shown, hint, max(1, len(shown)), rule)


def _blanked(text: str, start: int, end: int) -> str:
    """Without text[start:end], every line where it was."""
    return text[:start] + re.sub(r"[^\n]+", "", text[start:end]) + text[end:]


def _without_rule_at(text: str, line: int) -> tuple[str, str] | None:
    """(text without the rule that line is in, its name); None: it is in none."""
    at = -1
    for _ in range(line - 1):
        at = text.find("\n", at + 1)
        if at < 0:
            at = len(text) - 1
            break
    end_of_line = text.find("\n", at + 1)
    before = list(_START.finditer(text, 0, end_of_line if end_of_line >= 0 else len(text)))
    if not before:
        return None
    start, behind = before[-1].start(), _START.search(text, before[-1].end())
    following = behind.start() if behind else len(text)
    return _blanked(text, start, following), before[-1][1]


def _without(path: str, original: str, text: str, left_out: Mapping[str, tuple[str, str]], taken: Taken) -> str:
    """text without these rules. left_out: name of a rule to (message, hint)."""
    for found in reversed(list(_START.finditer(text))):
        if found[1] in left_out:
            line = text.count("\n", 0, found.start(1)) + 1
            behind = _START.search(text, found.end())
            text = _blanked(text, found.start(), behind.start() if behind else len(text))
            message, hint = left_out[found[1]]
            taken.errors.append(_error(path, original, line, f'rule "{found[1]}": {message}', hint, found[1]))
    return text


def _read_one(path: str, text: str, unwanted: Mapping[str, str], taken: Taken) -> None:
    original = text
    for found in list(_IMPORT.finditer(text)):
        if found[1] not in MODULES:
            line = text.count("\n", 0, found.start()) + 1
            hint = "rules see the octets of content; modules for that are " + ", ".join(MODULES)
            taken.errors.append(_error(path, original, line, f'module "{found[1]}" is not available', hint))
            text = _blanked(text, *found.span())
    for found in list(_INCLUDE.finditer(text)):
        line = text.count("\n", 0, found.start()) + 1
        taken.errors.append(_error(path, original, line, "other files cannot be included", "name them beside this one"))
        text = _blanked(text, *found.span())
    for _ in range(MOST_ERRORS):
        if not _START.search(text):
            return
        try:
            rules = yara.compile(source=text, includes=False)
            eager = {match.rule for octets in HARMLESS for match in rules.match(data=octets, timeout=_PROBE_S)}
        except yara.TimeoutError:
            taken.errors.append(_error(path, original, 1, "its rules take too long on harmless content"))
            return
        except yara.Error as error:
            told = _LINE.search(str(error))
            line, message = (int(told[1]), told[2]) if told else (1, str(error))
            cut = _without_rule_at(text, line)
            if cut is None:
                taken.errors.append(_error(path, original, line, message))
                return
            text = cut[0]
            taken.errors.append(_error(path, original, line, f'rule "{cut[1]}": {message}', "", cut[1]))
        else:
            left_out = dict.fromkeys(eager, _EAGER) or {
                rule.identifier: (unwanted[f"{PREFIX}{rule.identifier}"], "")
                for rule in rules
                if f"{PREFIX}{rule.identifier}" in unwanted
            }
            if left_out:
                text = _without(path, original, text, left_out, taken)
                continue
            named = [rule.identifier for rule in rules if not rule.is_private]
            if named:
                taken.sources.append(Source(path, text))
                taken.rules += named
            return
    taken.errors.append(_error(path, original, 1, f"more than {MOST_ERRORS} mistakes: none of its rules is taken"))


def read(files: Sequence[tuple[str, str]], unwanted: Mapping[str, str] = MappingProxyType({})) -> Taken:
    """(name, text) of each file. Never raises on content.

    unwanted: names, as they are reported, of rules that are not taken, with the reason.
    """
    taken = Taken()
    for path, text in sorted(files):
        one = Taken()
        if len(text) > SOURCE_LEN:
            one.errors.append(RuleError(path, 1, 0, f"longer than {SOURCE_LEN} characters"))
        elif "\0" in text:
            one.errors.append(RuleError(path, text.count("\n", 0, text.index("\0")) + 1, 0, "an octet 0 in it"))
        else:
            _read_one(path, text, unwanted, one)
            one.errors.sort()
        taken.add(one)
    return taken


def annexes(taken: Taken) -> dict[str, bytes]:
    """What of it travels with definitions."""
    if not taken.sources:
        return {}
    in_order = sorted(taken.sources, key=lambda source: (source.namespace, source.text))
    return {ANNEX: _ENCODER.encode(Annex(tuple(in_order)))}


_ENCODER: Final = msgspec.msgpack.Encoder()
