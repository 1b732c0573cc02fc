"""A month of journal, and what the pages ask of it: following, a summary, searches, messages, retention.

`python -m bench.reports DIRECTORY [EVENTS]` makes such a journal, reads it and prints what each step took.
"""

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from control.records.follower import Follower
from control.records.messages import Wanted
from control.records.reading import Query
from control.records.store import Store
from engine.ids import IdMaker
from engine.journal import file_name, timestamp

SECOND: Final = 1_000_000_000
FIRST: Final = 1_790_035_200 * SECOND  # midnight of a day in September 2026
DAYS: Final = 30
RELAYS: Final = 2
EVENTS_PER_MESSAGE: Final = 5
WORDS: Final = [
    "invoice",
    "order",
    "meeting",
    "report",
    "weekly",
    "update",
    "budget",
    "offer",
    "contract",
    "travel",
    "ticket",
    "photos",
    "newsletter",
    "reminder",
    "payment",
    "delivery",
    "account",
    "statement",
    "request",
    "project",
    "review",
    "draft",
    "minutes",
    "holiday",
    "schedule",
    "Rechnung",
    "Angebot",
    "Überweisung",
    "счёт",
    "договор",
    "factura",
    "pedido",
    "réunion",
    "facture",
]
T = TypeVar("T")


class Cast:
    """Who writes to whom about what: appended to, never changed, so that figures stay comparable."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pick = self.random.choice
        names = [f"{pick('abcdefghijklmnoprstw')}{pick(WORDS).lower()}{number}" for number in range(4000)]
        domains = [f"{pick(WORDS).lower()}{number}.example" for number in range(900)]
        self.senders = [f"{pick(names)}@{pick(domains)}" for _ in range(20_000)]
        self.recipients = [f"{name}@example.com" for name in names]
        self.subjects = [" ".join(self.random.choices(WORDS, k=4)) for _ in range(8000)]
        self.clients = [f"{pick(range(1, 224))}.{pick(range(256))}.{pick(range(256))}.9" for _ in range(9000)]
        self.viruses = [f"Win.Trojan.{pick(WORDS)}-{number}" for number in range(300)]
        self.files = [f"{pick(WORDS)}-{number}.{pick(('exe', 'js', 'scr', 'zip'))}" for number in range(500)]


def write_journal(directory: Path, events: int, days: int = DAYS, seed: int = 7) -> Counter[str]:
    """Files of relays and days, of about as many events. Returns how many of each kind."""
    cast = Cast(seed)
    directory.mkdir(parents=True)
    written: Counter[str] = Counter()
    in_a_file = max(1, events // EVENTS_PER_MESSAGE // days // RELAYS)
    for relay in range(RELAYS):
        made = 0
        ids, now = IdMaker(relay, lambda: now), FIRST  # noqa: B023 - the clock of this relay
        for day in range(days):
            lines: list[str] = []
            for number in range(in_a_file):
                now = FIRST + (day * 86_400 + number * 86_400 // in_a_file) * SECOND + cast.random.randrange(SECOND)
                lines.extend(_message(cast, ids, now, relay, made))
                made += 1
            text = "\n".join(lines) + "\n"
            path = directory / file_name(f"relay-{relay}", timestamp(FIRST + day * 86_400 * SECOND)[:10])
            path.write_text(text)
            for line in lines:
                written[line[10 : line.index('"', 10)]] += 1
    return written


def _message(cast: Cast, ids: IdMaker, now: int, relay: int, number: int) -> Iterator[str]:
    pick = cast.random.choice
    client, sender, recipient = pick(cast.clients), pick(cast.senders), pick(cast.recipients)
    subject, size = f"{pick(cast.subjects)} {number}", cast.random.randrange(900, 900_000)
    connection, smtp_id = ids.next().lower(), ids.next()

    def line(kind: str, fields: str, after_ms: int) -> str:
        at = timestamp(now + after_ms * 1_000_000)
        return f'{{"event":"{kind}",{fields},"time":"{at}","process":"relay-{relay}"}}'

    message = f'"smtp_id":"{smtp_id}"'
    if number % 20 == 0:
        yield line("connection-from", f'"result":"accepted","client":"{client}","connection_id":"{connection}"', 0)
        rejected = f'"client":"{client}","connection_id":"{connection}","reason":"relay","forward_path":"{recipient}"'
        yield line("rejected", rejected, 1)
        yield line("disconnected", f'"side":"client","client":"{client}","connection_id":"{connection}"', 2)
        return
    accepted = f'"reverse_path":"{sender}","forward_paths":["{recipient}"],"size":{size},"client":"{client}"'
    yield line("accepted", f'{message},{accepted},"connection_id":"{connection}"', 3)
    evidence = f'{{"envelope":{{"client":"{client}","helo":"mx.{sender.partition("@")[2]}","size":{size}}}}}'
    infected = number % 100 == 7
    verdict = "infected" if infected else "clean"
    yield line("scanned", f'{message},"verdict":"{verdict}","subject":"{subject}","evidence":{evidence}', 9)
    if infected:
        yield line("file-deleted", f'{message},"virus":"{pick(cast.viruses)}","part":"2"', 9)
    if number % 40 == 3:
        yield line("attachment-deleted", f'{message},"part":"3","file":"{pick(cast.files)}","reason":"file name"', 9)
    if number % 200 == 11:
        blocked = f'"reverse_path":"{sender}","subject":"{subject}","entry":"*{WORDS[0]}*","handling":"hold"'
        yield line("subject-blocked", f"{message},{blocked}", 9)
        yield line("held", f'{message},"reason":"subject"', 10)
        return
    server = f'"server":"[192.0.2.{number % 9}]:25","connection_id":"{connection}"'
    yield line("connected-to", f'"result":"ok",{server},"kind":"Cached"', 12)
    paths = f'"reverse_path":"{sender}","forward_path":"{recipient}"'
    yield line("delivered", f'{message},{paths},{server},"reply":"250 2.0.0 Ok: queued","delay_ms":40', 43)
    yield line("completed", message, 44)


class Followed:
    """A journal and the store that has read it."""

    def __init__(self, root: Path, events: int) -> None:
        self.journal = root / "journal"
        self.written = write_journal(self.journal, events)
        self.path = root / "events.sqlite"
        self.store = Store(self.path, self.journal)
        self.follower = Follower(self.journal, self.store)

    def read_all(self) -> int:
        return self.follower.poll()

    def month(self) -> int:
        """Checks the summary of the month but for its first 61.5 seconds."""
        with self.store.read() as view:
            first, until = FIRST // 1000, (FIRST + DAYS * 86_400 * SECOND) // 1000 + 61_000_000
            tally = view.tally(first, until, frozenset({"file-deleted", "subject-blocked", "attachment-deleted"}))
            assert tally.counts == self.written
            ragged = view.tally(first + 61_500_000, until)
            assert 0 < ragged.counts.total() <= self.written.total()
        return tally.counts.total()

    def search(self, term: str) -> int:
        with self.store.read() as view:
            return len(view.find(Query(term=term), 100).rows)

    def newest(self, kinds: frozenset[str]) -> int:
        with self.store.read() as view:
            return len(view.find(Query(kinds=kinds), 100).rows)

    def middle(self) -> int:
        with self.store.read() as view:
            middle = (FIRST + DAYS * 43_200 * SECOND) // 1000
            return len(view.find(Query(until=middle), 100).rows)

    def messages(self, wanted: Wanted) -> int:
        with self.store.read() as view:
            return len(view.find_messages(wanted).rows)

    def story_of_the_first(self) -> int:
        line = next(self.journal.iterdir()).open().readline()
        with self.store.read() as view:
            return len(view.story(line.partition('"smtp_id":"')[2][:13]))


class Reports:
    """asv: with 200,000 events; the answers are checked."""

    timeout = 300

    def setup(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="mailward-bench-"))
        self.followed = Followed(self.root, 200_000)
        self.followed.read_all()

    def teardown(self) -> None:
        self.followed.store.close()
        shutil.rmtree(self.root)

    def time_summary_of_a_month(self) -> None:
        assert self.followed.month() == self.followed.written.total()

    def time_search_for_a_rare_term(self) -> None:
        assert self.followed.search("счёт") == 100

    def time_search_for_an_absent_term(self) -> None:
        assert self.followed.search("nobody-writes-this") == 0

    def time_newest_of_one_kind(self) -> None:
        assert self.followed.newest(frozenset({"subject-blocked"})) == 100

    def time_read_again(self) -> None:
        self.followed.follower.rebuild()
        assert self.followed.read_all() == self.followed.written.total()


def main() -> None:
    root, events = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    followed = _timed("write the journal", lambda: Followed(root, events))
    before = time.process_time()
    count = _timed("read it all", followed.read_all)
    cpu_s = time.process_time() - before
    journal, store = sum(path.stat().st_size for path in followed.journal.iterdir()), followed.path.stat().st_size
    print(f"{count:,} events, {cpu_s / count * 1e6:.2f} us of CPU each; {journal >> 20} MiB, store {store >> 20} MiB")
    _timed("summary of the month, twice", followed.month)
    for term in (
        "invoice",
        "Счёт договор",
        "zrechnung3999@",
        "Trojan.offer-17",
        "1jabsent",
        "4711",
        "no such words",
        "xq",
    ):
        _timed(f"search {term!r}", lambda term=term: followed.search(term))  # type: ignore[misc]
    _timed("newest", lambda: followed.newest(frozenset()))
    _timed("newest of a rare kind", lambda: followed.newest(frozenset({"subject-blocked"})))
    _timed("newest of no kind", lambda: followed.newest(frozenset({"logon"})))
    _timed("a page in the middle", followed.middle)
    for wanted in (Wanted(), Wanted(address="@offer17.example"), Wanted(subject="фак"), Wanted(verdict="infected")):
        _timed(f"messages {wanted}", lambda wanted=wanted: followed.messages(wanted))  # type: ignore[misc]
    _timed("the story of the oldest message", followed.story_of_the_first)
    next(followed.journal.iterdir()).unlink()
    _timed("a day goes", followed.read_all)
    followed.store.close()


def _timed(what: str, do: Callable[[], T]) -> T:
    begun = time.perf_counter()
    answer = do()
    print(f"{what}: {time.perf_counter() - begun:.3f} s" + (f", {answer}" if isinstance(answer, int) else ""))
    return answer


if __name__ == "__main__":
    main()
