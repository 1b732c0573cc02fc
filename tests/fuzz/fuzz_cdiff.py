"""Increments of ClamAV's databases: a script does something or is refused, and the header too."""

from signatures.clamav.cdiff import BadDiff, run, script_of

BEFORE = {"a.ndb": b"one\ntwo\nthree\n", "b.ndb": b"four"}
SEEDS = [
    b"OPEN a.ndb\nADD x\nDEL 1 on\nXCHG 2 two y\nCLOSE\n",
    b"MOVE a.ndb b.ndb 1 one 2 two\nUNLINK b.ndb\n",
    b"ClamAV-Diff:7:24:\x1f\x8b\x08:abcd",
]


def one_input(data: bytes) -> None:
    try:
        after = run(data, BEFORE)
    except BadDiff:
        after = BEFORE
    assert sum(map(len, after.values())) <= sum(map(len, BEFORE.values())) + len(data) + 2
    try:
        script_of(data, 7)
    except BadDiff:
        return
    raise AssertionError("nobody signed this")
