"""From a source table to a signature: every key checked, every mistake of the table reported, none thrown."""

import re
from itertools import islice
from typing import Any

from signatures import memberfacts, model, recipes, subpatterns
from signatures.diagnostics import SourceError, did_you_mean
from signatures.model import Condition, Digest, FileName, Literal, Member, Signature
from signatures.names import GlobError, expand
from signatures.source import UNKNOWN_KEYS, Table

PATTERN_LEN = 4096  # MW_PATTERN_LEN of cext/include/image.h
SHORTEST_PATTERN = 4  # a shorter literal occurs in any large file by chance
NAME_LEN = 256

_DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32}
_BODIES = ("text", "hex", "patterns", "filename", "member", *_DIGESTS)
_NOTES = ("comment", "author", "date", "url")
KEYS = (
    "name",
    "also",
    "severity",
    "family",
    "target",
    *_BODIES,
    "nocase",
    "size",
    "condition",
    "filesize",
    "container",
    *subpatterns.FACTS,
    "of",
    *_NOTES,
    "specimen",
    "clean",
    "repair",
    "repaired",
)
NAME = re.compile(r"[A-Za-z0-9{(\[][A-Za-z0-9._:/\\+$@#!&=~,%{}()\[\]-]*")


class _Reader:
    """One table under inspection."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.errors: list[SourceError] = []

    def wrong(self, message: str, hint: str = "", key: str | None = None, within: str = "") -> None:
        self.errors.append(self.table.error(message, hint, key, within))

    def text(self, key: str, default: str = "") -> str:
        value = self.table.values.get(key, default)
        if isinstance(value, str):
            return value
        self.wrong(f'"{key}" is not a string', f'write {key} = "..."', key)
        return default

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value in known:
            return value
        self.wrong(f'unknown {key} "{value}"', did_you_mean(value, known), key, value)
        return default

    def target(self) -> str:
        """One of the targets, or several, joined by commas."""
        value = self.text("target", model.ANY)
        words = value.split(",")
        for word in words:
            if word not in model.TARGETS or (word == model.ANY and len(words) > 1):
                self.wrong(f'unknown target "{word}"', did_you_mean(word, model.TARGETS), "target", word)
                return model.ANY
        return value

    def name(self) -> str:
        if "name" not in self.table.values:
            self.wrong("signature without a name", 'write name = "Family.Variant"')
            return ""
        name = self.text("name")
        if name and (not NAME.fullmatch(name) or len(name) > NAME_LEN):
            allowed = "letters, digits, brackets and . _ : / \\ + - $ @ # ! & = ~ , %"
            hint = f"{allowed}, at most {NAME_LEN} of them, a letter, digit or bracket first"
            self.wrong(f'"{name}" is no signature name', hint, "name", name)
        elif not name and isinstance(self.table.values["name"], str):
            self.wrong("empty signature name", "", "name")
        return name

    def octets(self, key: str, digits: str) -> bytes | None:
        """Hexadecimal digits, white space between octets allowed."""
        if bad := re.search(r"[^0-9A-Fa-f\s]+", digits):
            self.wrong(f'"{bad[0]}" is not hexadecimal', "pairs of 0-9 and a-f", key, bad[0])
            return None
        packed = re.sub(r"\s+", "", digits)
        if len(packed) % 2:
            self.wrong("half an octet: odd number of hexadecimal digits", "", key)
            return None
        return bytes.fromhex(packed)

    def literal(self, key: str) -> Literal | None:
        raw = self.text(key)
        octets = raw.encode() if key == "text" else self.octets(key, raw)
        if octets is None:
            return None
        if not SHORTEST_PATTERN <= len(octets) <= PATTERN_LEN:
            hint = f"between {SHORTEST_PATTERN} and {PATTERN_LEN} octets; a short one matches harmless files by chance"
            self.wrong(f"pattern of {len(octets)} octets", hint, key)
            return None
        return Literal(octets, self.table.values.get("nocase") is True)

    def digest(self, key: str) -> Digest | None:
        octets = self.octets(key, self.text(key))
        if octets is None:
            return None
        if len(octets) != _DIGESTS[key]:
            self.wrong(f"{key} of {len(octets) * 2} digits", f"{key} has {_DIGESTS[key] * 2}", key)
            return None
        return Digest(key, octets, self.table.values.get("size"), self.choice("of", model.DIGESTED, model.DIGESTED[0]))

    def filename(self) -> FileName | None:
        glob = self.text("filename")
        try:
            return FileName(tuple(expand(glob)))
        except GlobError as e:
            self.wrong(str(e), e.hint, "filename", glob)
            return None

    def condition(self, key: str) -> Condition | None:
        return subpatterns.condition(
            self.table.values, key, lambda message, hint, at, within: self.wrong(message, hint, at, within)
        )

    def body(self) -> model.Body | None:
        values = self.table.values
        if not isinstance(values.get("nocase", False), bool):
            self.wrong('"nocase" is neither true nor false', "", "nocase")
        size = values.get("size", 0)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
            self.wrong('"size" is not a number of octets', "write size = 12345", "size")
        present = [key for key in _BODIES if key in values]
        if len(present) != 1:
            what = "signature without a pattern" if not present else "more than one pattern: " + ", ".join(present)
            self.wrong(what, "exactly one of " + ", ".join(_BODIES), present[1] if present else None)
            return None
        key = present[0]
        if "nocase" in values and key not in ("text", "hex"):
            self.wrong(f'"nocase" has no meaning with {key}', "it goes with text and hex", "nocase")
        if "size" in values and key not in _DIGESTS:
            self.wrong(f'"size" has no meaning with {key}', "it goes with " + ", ".join(_DIGESTS), "size")
        if "of" in values and key not in _DIGESTS:
            self.wrong(f'"of" has no meaning with {key}', "it goes with " + ", ".join(_DIGESTS), "of")
        if key != "patterns":
            for word in ("condition", "filesize", "container", *subpatterns.FACTS):
                if word in values:
                    self.wrong(f'"{word}" has no meaning with {key}', "it goes with patterns", word)
        if key == "patterns" or (key == "hex" and not subpatterns.WILDCARDS.isdisjoint(self.text("hex"))):
            return self.condition(key)
        if key == "filename":
            return self.filename()
        if key == "member":
            return memberfacts.read(values[key], lambda message, hint, at: self.wrong(message, hint, "member", at))
        return self.digest(key) if key in _DIGESTS else self.literal(key)

    def vectors(self, key: str) -> tuple[bytes, ...]:
        """A string stands for its UTF-8 octets, `{ hex = "..." }` for those octets; a list for several."""
        value = self.table.values.get(key, [])
        found = []
        for item in value if isinstance(value, list) else [value]:
            octets = self.vector(key, item)
            if octets is not None:
                found.append(octets)
        return tuple(found)

    def vector(self, key: str, item: Any) -> bytes | None:
        match item:
            case str():
                return item.encode()
            case {"hex": str(digits), **rest} if not rest:
                return self.octets(key, digits)
            case _:
                self.wrong(f'"{key}" holds something else than octets', 'a string, { hex = "..." }, or a list', key)
                return None

    def steps(self) -> tuple[str, ...]:
        value = self.table.values.get("repair", ())
        return (value,) if isinstance(value, str) else tuple(value)

    def recipe(self) -> tuple[recipes.Instruction, ...]:
        """The steps of a repair: one string, or a list of them."""
        value = self.table.values.get("repair")
        if value is None:
            return ()
        steps = value if isinstance(value, list) else [value]
        if not 0 < len(steps) <= recipes.STEPS or not all(isinstance(step, str) for step in steps):
            self.wrong('"repair" is no list of steps', f"1 to {recipes.STEPS} strings, one for each step", "repair")
            return ()
        found = []
        for step in steps:
            try:
                found.append(recipes.instruction(step))
            except recipes.StepError as e:
                self.errors.append(self.table.error_in(str(e), e.hint, "repair", step, e.column, e.width))
        return tuple(found)

    def repaired(self, specimens: int) -> tuple[bytes, ...]:
        """What becomes of each specimen."""
        found = self.vectors("repaired")
        if found and "repair" not in self.table.values:
            self.wrong('"repaired" without a repair', 'write repair = ["..."]', "repaired")
        elif found and len(found) != specimens:
            self.wrong(f"{len(found)} repaired for {specimens} specimens", "one for each, in their order", "repaired")
        return found


def signature(table: Table) -> tuple[Signature | None, list[SourceError]]:
    """The signature of a table, None if anything in it is wrong, and all that is wrong."""
    r = _Reader(table)
    unknown = (key for key in table.values if key not in KEYS)
    for key in islice(unknown, UNKNOWN_KEYS):
        r.wrong(f'unknown key "{key}"', did_you_mean(key, KEYS), key)
    for key in _NOTES:
        if key != "date" and key in table.values:
            r.text(key)
    name = r.name()
    if not isinstance(table.values.get("also", False), bool):
        r.wrong('"also" is neither true nor false', "true: another form of the signature of this name", "also")
    severity = r.choice("severity", model.SEVERITIES, "medium")
    family = r.choice("family", model.FAMILIES, model.FAMILIES[0])
    target = r.target()
    body = r.body()
    if isinstance(body, FileName | Member) and target != model.ANY:
        r.wrong("a file name has no target", "leave target out", "target")
    specimens, cleans = r.vectors("specimen"), r.vectors("clean")
    repair, repaired = r.recipe(), r.repaired(len(specimens))
    if (specimens or cleans) and isinstance(body, Member):
        r.wrong("a member of a container has no vectors", "its content is not looked at", "specimen")
    if repair and isinstance(body, FileName | Member):
        r.wrong("a file name has no repair", "it goes with content", "repair")
    if r.errors or body is None:
        return None, r.errors
    return Signature(
        name, body, severity, family, target, specimens, cleans, repair, repaired, r.steps(), table.path, table.line
    ), []
