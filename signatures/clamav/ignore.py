"""Names that a database's owner does not want: .ign (database:line:name) and .ign2 (name[:md5 of the line])."""

import hashlib

_NAME_FIELD = {
    **dict.fromkeys((".hdb", ".hsb", ".hdu", ".hsu", ".mdb", ".msb", ".mdu", ".msu", ".fp", ".sfp", ".imp"), 2),
    **dict.fromkeys((".ndb", ".ndu", ".sdb", ".cdb"), 0),
}


def name_of(suffix: str, line: str) -> str:
    """The name in a line of this format, as far as it can be told."""
    if suffix in (".ldb", ".ldu", ".crb", ".cat"):
        return line.partition(";")[0]
    fields = line.split(":")
    at = _NAME_FIELD.get(suffix, 0)
    return fields[at] if at < len(fields) else ""


class Ignored:
    """The set of them. A name with a digest is only meant for a line of that MD5."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def add(self, line: str) -> None:
        fields = line.split(":")
        if len(fields) == 3:
            self._names.setdefault(fields[2], set()).add("")
        elif fields[0]:
            self._names.setdefault(fields[0], set()).add(fields[1].lower() if len(fields) > 1 else "")

    def has(self, name: str, line: str) -> bool:
        digests = self._names.get(name)
        if digests is None:
            return False
        return "" in digests or hashlib.md5(line.encode(), usedforsecurity=False).hexdigest() in digests
