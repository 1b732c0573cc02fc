"""A central quarantine with very many items, and what its pages ask of it.

`python -m bench.quarantine_server DIRECTORY [ITEMS]` fills an index, reads it and prints what each step took.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from control.quarantine_server.index import Filter, Index, words_of
from control.quarantine_server.protocol import Item

ITEMS: Final = 100_000
CONTENTS: Final = 0.4  # of the items are contents that no other has
FIRST: Final = 1_790_000_000_000_000
T = TypeVar("T")


def fill(index: Index, items: int) -> None:
    """Always the same ones."""
    chance = random.Random(1)
    contents = int(items * CONTENTS) or 1
    with index.transaction() as connection:
        for number in range(contents):
            change = ("", "named", "clean")[number % 100 if number % 100 < 3 else 0]
            connection.execute(
                "INSERT INTO content (sha256, size, stored, added, revision, verdict, change)"
                " VALUES (?, 1000, 1028, ?, 'r1', 'infected', ?)",
                (f"{number:064x}", FIRST, change),
            )
        for number in range(items):
            item = Item(
                f"{number:032x}",
                f"{chance.randrange(contents):064x}",
                1000,
                f"invoice-{chance.randrange(10**6)}.exe",
                (f"Test.Family{chance.randrange(300)}",),
                smtp_id=f"1N4ABCDEV{number:04x}",
                sender=f"sender{chance.randrange(10**5)}@example.org",
                recipients=tuple(f"user{chance.randrange(10**4)}@example.com" for _ in range(chance.randrange(1, 4))),
                subject=f"your order {chance.randrange(10**6)} of last week",
                time="2026-03-01T09:30:00.000001Z",
            )
            connection.execute(
                "INSERT INTO item (gateway, id, sha256, received, state, words, item) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    f"gateway-{number % 7}",
                    item.id,
                    item.sha256,
                    FIRST + number,
                    "failed" if number % 1000 == 1 else "",
                    words_of(item),
                    msgspec.json.encode(item),
                ),
            )


def timed(what: str, run: Callable[[], T]) -> T:
    """The best of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - began)
    print(f"{what:45} {min(times) * 1000:9.1f} ms")
    return result


def main() -> None:
    directory, items = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ITEMS
    index = Index(directory / "index.sqlite")
    began = time.perf_counter()
    fill(index, items)
    size = (directory / "index.sqlite").stat().st_size
    print(f"{items:,} items in {time.perf_counter() - began:.1f} s, {size:,} octets")
    asked = {
        "the newest": Filter(),
        "a gateway": Filter(gateway="gateway-3"),
        "a word of every item": Filter(text="order"),
        "a word of no item": Filter(text="nobody-has-this"),
        "the oldest item by its SMTP ID": Filter(text="1N4ABCDEV0000"),
        "releases that failed": Filter(state="failed"),
        "nothing found any more": Filter(state="clean"),
        "no sample, of which there are none": Filter(state="sample"),
    }
    for what, wanted in asked.items():
        found = timed(what, lambda wanted=wanted: index.page(wanted, 0, 51))  # type: ignore[misc]
        assert bool(found) != ("none" in what or "no item" in what), what
    middle = timed("the page in the middle", lambda: index.page(Filter(), items // 2, 51))
    assert middle[0].number == items // 2 - 1
    assert timed("totals", index.totals).items == items
    index.close()


if __name__ == "__main__":
    main()
