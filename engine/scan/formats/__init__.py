"""What can be taken apart, and by whom: one file for each format, all with one contract.

An opener is a generator function: given the whole content of a container and the room that is left, it yields what
is inside, bounded, in order. It never raises on content but `NotThis` (before it has yielded anything), when the
content only looked like its format: then it is matched as plain octets and listed as unscanned.

    def members(buf: bytes, room: Room) -> Iterator[Item]: ...

Openers of containers are chosen by the type that magic.identify gives (OPENERS). Finders look into every text for
files that are spelled out in it (FINDERS); they must cost next to nothing when there are none.

To add one: write `formats/NAME.py`, name it in the table below, move its type from magic.UNOPENED, and give it
tests, a fuzz target and an entry in the table of bounds.
"""

from typing import Final

from engine.scan.formats import ole
from engine.scan.formats.item import Opener

OPENERS: Final[dict[str, Opener]] = {
    "ole": ole.members,
}
FINDERS: Final[tuple[Opener, ...]] = ()
