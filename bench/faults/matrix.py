"""What is done at each fault point while mail flows, and what is found when all is delivered."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from bench.faults.board import SLOTS, Call, Place, Role
from bench.faults.house import FLOW_S, House
from bench.faults.occasions import LOAD, Occasions
from bench.faults.points import Fault, Point, Tally, Where, points_at
from bench.faults.traffic import Account, Twice
from engine.by_hand import BY_HAND
from engine.queue import listing

WATCHED = (Role.RELAY, Role.SCANNER, Role.SUPERVISOR, Role.CONTROL)
ENDS_RELAY = (Role.RELAY, Role.SUPERVISOR)
OFTEN_PER_S = 4.0  # a call that the load alone meets soon
MEET_S = 1.5  # so long is it waited for a fault to be met
MEET_LATE_S = 4.0  # if it is not the load that meets it: files are looked at once a second
DAY_S = 86_400.0
CLOCK_S = 2.5  # in which mail waits for its next attempt while the clock is set
QUEUE = (Place.FAST, Place.SLOW, Place.HOLD, Place.TMP)
SYNCED_S = 1.0  # so late a note is written when nothing else is
MOST_SKIPPED = 15  # so many calls pass at most before one fails
WEIGHTS = {
    LOAD: 8.0,
    "first start": 0.1,
    "service starts": 0.2,
    "stop and start": 0.2,
}  # of 1: how often an occasion is taken
MORE_S = 0.15  # for some more of those that shall happen several times
HOPELESS = 6  # runs without its being met once


class Matrix:
    """say: told of every batch."""

    def __init__(self, house: House, dice: random.Random, say: Callable[[str], None]) -> None:
        self._house = house
        self._dice = dice
        self._say = say
        self.tallies: dict[Point, Tally] = {}
        self.bad: list[tuple[list[Point], Account]] = []
        self.stuck: list[Point] = []  # mail did not flow afterwards
        self.refused = 0  # doubled ones of which the disk refused the record
        self._refusals: list[tuple[float, float, Point]] = []  # when it refused something
        self.accepted = 0
        self.held = 0
        self.gaps_s: list[float] = []
        self._occasions = Occasions(house, dice, self._killed)
        self._met_by: dict[Where, dict[str, float]] = {}
        self._tried: Counter[tuple[Where, str]] = Counter()  # faults at that call on that occasion
        self._met: Counter[tuple[Where, str]] = Counter()  # those that were met
        self._kills: list[tuple[float, Point | None]] = []
        self._point: Point | None = None

    def survey(self, seconds: float) -> list[Point]:
        """The points that ordinary life meets, and what of it."""
        house = self._house
        house.traffic.flow(True)
        house.flows()
        for name, happens in self._occasions.by_name.items():
            before = self._counts()
            began_s = time.monotonic()
            happens()
            house.flows()
            time.sleep(seconds * (3 if name == LOAD else 1))
            passed_s = time.monotonic() - began_s
            for where, count in self._counts().items():
                met_by, more = self._met_by.setdefault(where, {}), count - before.get(where, 0)
                if name == LOAD:
                    met_by[LOAD] = more / passed_s
                elif more > 3 * met_by.get(LOAD, 0.0) * passed_s:  # not by the mail that flows meanwhile
                    met_by[name] = more
        self.settle()
        places = [where for where, met_by in sorted(self._met_by.items()) if any(met_by.values())]
        moments = [Point(role, None, Place.NOWHERE, Fault.KILL) for role in WATCHED]
        return [*(point for where in places for point in points_at(where)), *moments]

    def _counts(self) -> dict[Where, int]:
        board = self._house.board
        places = [(role, call, place) for role in WATCHED for call in Call for place in Place]
        return {where: count for where in places if (count := board.count(*where))}

    # --- faults -----------------------------------------------------------------------------------

    def batch(self, points: Sequence[Point], runs: int) -> None:
        """Faults at those of these that were not met so often yet, and then the account.

        What kills goes by itself, of the others several at a time.
        """
        wanted = [point for point in points if self._is_wanted(self.tallies.setdefault(point, Tally()), runs)]
        began: list[tuple[float, Point]] = []
        while wanted:
            occasion = self._choose(wanted[0])
            some = self._together(wanted, occasion)
            wanted = [point for point in wanted if point not in some]
            now_s = time.monotonic()
            began += [(now_s, point) for point in some]
            try:
                self._once(some, occasion)
            except AssertionError as error:
                self._say(f"BAD: {', '.join(map(str, some))}: {error}")
                self.stuck += some
                self._house.gateway.end(signal.SIGKILL)
        if began:
            self._book(began, self.settle())

    def _is_wanted(self, tally: Tally, runs: int) -> bool:
        return tally.met < runs and (tally.met > 0 or tally.runs < HOPELESS)

    def _together(self, points: Sequence[Point], occasion: str) -> list[Point]:
        """The first, and what else that occasion leads to, at other calls."""
        first = points[0]
        if first.call is None or first.kills:
            return [first]
        found = {first.where: first}
        for point in points[1:]:
            if point.call is not None and not point.kills and occasion in self._met_by[point.where]:
                found.setdefault(point.where, point)
        return list(found.values())[:SLOTS]

    def _book(self, began: list[tuple[float, Point]], account: Account) -> None:
        self.accepted += account.accepted
        self.held += len(account.held)
        points = [point for _, point in began]
        for _, accepted_s in account.lost:
            later = [point for point, (end_s, _) in zip(points, began[1:], strict=False) if end_s > accepted_s]
            self.tallies[(later or points[-1:])[0]].lost += 1
        unexplained = [twice for twice in account.doubled if not self._explained(twice)]
        self._refusals = []
        is_good = account.is_good and not unexplained
        if not is_good:
            self.bad.append((points, account))
        found = f"{account.accepted} accepted, {len(account.doubled)} doubled, {len(account.held)} held"
        words = "good" if is_good else f"BAD: {account}, unexplained {unexplained}"
        self._say(f"{time.strftime('%X')} {len(points)} faults: {found}, {words}")

    def _explained(self, twice: Twice) -> bool:
        """Whether its record cannot have been written: the relay was killed, or the disk refused it."""
        if twice.kill is not None:
            if (blamed := self._kills_of_batch[twice.kill][1]) is not None:
                self.tallies[blamed].doubled += 1
                self.gaps_s.append(twice.gap_s)
            return True
        for begin_s, end_s, point in self._refusals:
            if begin_s <= twice.first_s <= end_s:
                self.tallies[point].doubled += 1
                self.refused += 1
                return True
        return False

    def _once(self, points: Sequence[Point], occasion: str) -> None:
        """These faults at that occasion, and mail flows again."""
        house, board = self._house, self._house.board
        self._point = first = points[0]
        for point in points:
            self.tallies[point].runs += 1
        if first.call is None:
            time.sleep(self._dice.random() * 0.1)  # a random moment, not a wait for something
            house.kill_one(first.role, self._dice)
            self._killed(first.role)
            self._count(first, occasion)
            house.flows()
            return
        more = False
        for index, point in enumerate(points):
            skip = self._dice.randrange(max(1, min(int(self._met_by[point.where][occasion]) // 4, MOST_SKIPPED)))
            self._tried[point.where, occasion] += 1
            act, error = point.act(self._dice)
            times = 1 if point.kills or point.role is Role.SUPERVISOR else self._dice.choice((1, 3, 30))
            more = more or times > 1
            board.arm(index, *point.where, act, error, skip, times)
        began_s = time.monotonic()
        self._occasions.by_name[occasion]()
        self._wait(len(points), MEET_S if occasion == LOAD else MEET_LATE_S)
        if more:
            time.sleep(MORE_S)
        board.disarm()
        for index, point in enumerate(points):
            if board.happened(index):
                self._count(point, occasion)
                self._met[point.where, occasion] += 1
                if point.kills and point.role in ENDS_RELAY:
                    self._kills.append((board.when_s(index), point))
        house.flows()
        for point in points:
            if point.role is Role.RELAY and point.place in QUEUE and not point.kills:
                self._refusals.append((began_s - SYNCED_S, time.monotonic(), point))

    def _count(self, point: Point, occasion: str) -> None:
        tally = self.tallies[point]
        tally.met += 1
        tally.occasions[occasion] += 1

    def _choose(self, point: Point) -> str:
        """An occasion at which its call was met. Mostly one that costs little."""
        if point.call is None:
            return "a signal"
        met_by = self._met_by[point.where]
        names = [name for name, often in met_by.items() if often and (name != LOAD or often >= OFTEN_PER_S)] or [LOAD]
        return self._dice.choices(names, [self._weight(point.where, name) for name in names])[0]

    def _weight(self, where: Where, occasion: str) -> float:
        chance = (self._met[where, occasion] + 1) / (self._tried[where, occasion] + 1)
        return WEIGHTS.get(occasion, 1.0) * chance

    def _killed(self, role: Role) -> None:
        if role in ENDS_RELAY:
            self._kills.append((time.monotonic(), self._point))

    def _wait(self, slots: int, patience_s: float) -> None:
        """Until all are met, or so long that they will not be."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and not all(map(self._house.board.happened, range(slots))):
            time.sleep(0.005)

    # --- the clock ----------------------------------------------------------------------------------

    def clocks(self) -> None:
        """It is set while mail flows: a day forward and back, to 1970 and back; relays are killed in between."""
        for by_s, words in ((DAY_S, "a day ahead"), (0, "right"), (-DAY_S, "a day behind"), (0, "right"),
                            (DAY_S - time.time(), "1970"), (0, "right")):  # fmt: skip
            self._house.board.set_clock(by_s)
            for role in (Role.OTHER, Role.RELAY):
                self._house.flows()
                time.sleep(CLOCK_S)
                if role is Role.RELAY:
                    self._house.kill_one(role, self._dice)
                    self._killed(role)
                    self._house.flows()
            account = self.settle()
            self.accepted += account.accepted
            is_good = account.is_good and not account.failed
            if not is_good:
                self.bad.append(([], account))
            words_of = "good" if is_good else f"BAD: {account}"
            self._say(f"clock {words}: {account.accepted} accepted, {len(account.doubled)} doubled, {words_of}")

    # --- the account ------------------------------------------------------------------------------

    def settle(self) -> Account:
        """Let everything be delivered that can be, and count. What a fault put on hold is released, as people would."""
        house = self._house
        house.board.disarm()
        house.traffic.flow(False)
        house.mend()
        held: dict[str, str] = {}
        by_fault: set[str] = set()
        deadline = time.monotonic() + FLOW_S
        while time.monotonic() < deadline:  # what stays is lost
            house.mend()
            self._occasions.ask("retry")
            time.sleep(0.05)
            waiting = house.traffic.unanswered + len(listing.Queue(house.root, ("fast", "slow")))
            found = list(listing.Queue(house.root, ("hold",)))
            held = {one.id: one.received.reverse_path for one in found}
            wanted = house.traffic.held()
            extra = [one.id for one in found if held[one.id] not in wanted]
            by_fault.update(held[one.id] for one in found if one.id in extra and BY_HAND not in one.reason)
            if not waiting and not extra and not len(listing.Queue(house.root, ("fast", "slow"))):
                break
            if extra:
                self._occasions.ask("requeue", tuple(extra[:100]))
        self._kills_of_batch, self._kills = self._kills, []
        account = house.traffic.account(set(held.values()), [kill_s for kill_s, _ in self._kills_of_batch])
        account.held = sorted(by_fault)
        if held:
            self._occasions.ask("drop", tuple(held)[:500])
        house.traffic.flow(True)
        return account
