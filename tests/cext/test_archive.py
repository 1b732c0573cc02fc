"""What ends a process inside libarchive does not end ours."""

import os
import subprocess
import sys

# A name that is no UTF-8, with errno as a call left it that got no memory some time before.
SCRIPT = r"""
import ctypes, errno
from cext.archive import Reader

place = ctypes.CDLL(None).__errno_location
place.restype = ctypes.POINTER(ctypes.c_int)

def member(name, content):
    fields = (1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % one for one in fields) + name + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)

reader = Reader(member(b"\xff\xfe\x80", b"hello") + member(b"TRAILER!!!", b""), "cpio")
places = [place().contents]
for what in (reader.next, lambda: reader.name, lambda: reader.hard_link):
    places[0].value = errno.ENOMEM
    what()
print(reader.name, reader.read(5))
"""


def test_memory_that_was_short_before_does_not_end_the_process_at_a_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},  # as scanners have it
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "b'\\xff\\xfe\\x80' b'hello'\n"), done.stderr
