"""What is done at each fault point while mail flows, and what is found when all is delivered."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from bench.faults.board import SLOTS, Call, Place, Role
from bench.faults.doubles import Double, Kill, Refusal, Timeline, Told, Why
from bench.faults.house import FLOW_S, House
from bench.faults.occasions import FIRST, LOAD, UPDATE, Occasions
from bench.faults.points import Fault, Point, Tally, Where, points_at
from bench.faults.traffic import Account
from engine.by_hand import BY_HAND
from engine.queue import listing

WATCHED = (Role.RELAY, Role.SCANNER, Role.SUPERVISOR, Role.CONTROL)
ENDS_RELAY = (Role.RELAY, Role.SUPERVISOR)
OFTEN_PER_S = 4.0  # a call that the load alone meets soon
MEET_S = 1.5  # so long is it waited for a fault to be met
MEET_LATE_S = 4.0  # if it is not the load that meets it: files are looked at once a second
MEET_UPDATE_S = 12.0  # what was published is fetched, verified and tried first
MEET_AFTER_KILL_S = 6.0  # a process starts before the next one
MOST_KILLS = 3  # of those that are waited for together: each one ends a process, which starts into the others
DAY_S = 86_400.0
CLOCK_S = 2.5  # in which mail waits for its next attempt while the clock is set
QUEUE = (Place.FAST, Place.SLOW, Place.HOLD, Place.TMP)
MOST_SKIPPED = 15  # so many calls pass at most before one fails
WEIGHTS = {
    LOAD: 8.0,
    FIRST: 0.1,
    "service starts": 0.2,
    "stop and start": 0.2,
}  # of 1: how often an occasion is taken
NEAR_S = 1.0
MORE_S = 0.15  # for some more of those that shall happen several times
LEADS: dict[Where, str] = {  # what a survey cannot tell, as it comes some time after it was led to
    (Role.RELAY, Call.LINK, Place.QUARANTINE): FIRST,
    (Role.RELAY, Call.MKDIR, Place.QUARANTINE): FIRST,
    (Role.RELAY, Call.MKDIR, Place.SLOW): FIRST,
    (Role.RELAY, Call.MKDIR, Place.HOLD): FIRST,
    (Role.RELAY, Call.ALLOCATE, Place.FAST): FIRST,
    **{(Role.CONTROL, call, Place.DEFINITIONS): UPDATE for call in (Call.WRITE, Call.SYNC, Call.RENAME, Call.MKDIR)},
    **{(Role.CONTROL, call, Place.TMP): "pages start" for call in (Call.OPEN, Call.WRITE, Call.UNLINK, Call.MKDIR)},
    (Role.CONTROL, Call.RENAME, Place.PAGES): UPDATE,
    **{(Role.CONTROL, call, Place.ROOT): "settings pages" for call in (Call.SYNC, Call.RENAME, Call.UNLINK)},
    (Role.CONTROL, Call.WRITE, Place.JOURNAL): "settings pages",
}
HOPELESS = 8  # runs without its being met once
TRIES = 3  # as many runs as shall be met: some are not met each time


class Matrix:
    """say: told of every batch."""

    def __init__(self, house: House, dice: random.Random, say: Callable[[str], None]) -> None:
        self._house = house
        self._dice = dice
        self._say = say
        self.tallies: dict[Point, Tally] = {}
        self.bad: list[tuple[list[Point], Account]] = []
        self.stuck: list[Point] = []  # mail did not flow afterwards
        self.accepted = 0
        self.held = 0
        self.untold = 0  # notices of success
        self.doubles: list[Double] = []
        self._told = Told(house.root / "log" / "journal")
        self._occasions = Occasions(house, dice, self._killed)
        self._met_by: dict[Where, dict[str, float]] = {}
        self._tried: Counter[tuple[Where, str]] = Counter()  # faults at that call on that occasion
        self._met: Counter[tuple[Where, str]] = Counter()  # those that were met
        self._kills: list[Kill] = []
        self._refusals: list[Refusal] = []
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
        for where, lead in LEADS.items():
            self._met_by[where] = {lead: 1.0}
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
        """Faults at those of these that were not met so often yet, several at a time, and then the account."""
        wanted = list(points)
        began: list[tuple[float, Point]] = []
        while wanted := [point for point in wanted if self.is_wanted(point, runs)]:
            occasion = self._choose(wanted[0])
            some = self._together(wanted, occasion)
            for point in some:
                wanted.remove(point)
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

    def is_wanted(self, point: Point, runs: int) -> bool:
        """Whether it is to be met more often, and there is hope."""
        tally = self.tallies.setdefault(point, Tally())
        return tally.met < runs and tally.runs < (TRIES * runs if tally.met else HOPELESS)

    def _together(self, points: Sequence[Point], occasion: str) -> list[Point]:
        """The first, and what else that occasion or the load leads to, at other calls.

        Of what only the occasion leads to one for each kind of file: when its first step fails there is no second.
        """
        first = points[0]
        if first.call is None:
            return [first]
        found = {first.where: first}
        places = {_kind(first)}
        for point in points[1:]:
            kills = sum(one.kills for one in found.values())
            if point.call is None or point.where in found or (point.kills and kills >= MOST_KILLS):
                continue
            met_by = self._met_by[point.where]
            if met_by.get(LOAD, 0.0) < OFTEN_PER_S:
                if not met_by.get(occasion) or _kind(point) in places:
                    continue
                places.add(_kind(point))
            found[point.where] = point
            if len(found) == SLOTS - 1:  # the last one is for an occasion
                break
        return list(found.values())

    def _book(self, began: list[tuple[float, Point]], account: Account) -> None:
        self.accepted += account.accepted
        self.held += len(account.held)
        points = [point for _, point in began]
        for one in account.untold:  # its next hop took it while its client waited, and then the log refused it
            if any(refusal.first_s - NEAR_S < one[1] < refusal.last_s + NEAR_S for refusal in self._refusals):
                self.untold += 1
            else:
                account.lost.append(one)
        for _, accepted_s in account.lost:
            self.tallies[_whose_turn(began, accepted_s)].lost += 1
        doubles = self._judged(account)
        unexplained = [double for double in doubles if double.why is Why.UNEXPLAINED]
        for double in doubles:
            tally = self.tallies[double.point or _whose_turn(began, double.twice.first_s)]
            if double.why is Why.UNEXPLAINED:
                tally.unexplained += 1
            else:
                tally.doubled += 1
        is_good = account.is_good and not unexplained
        if not is_good:
            self.bad.append((points, account))
        found = f"{account.accepted} accepted, {len(account.doubled)} doubled, {len(account.held)} held"
        words = "good" if is_good else f"BAD: {account.faults}, unexplained {unexplained}"
        self._say(f"{time.strftime('%X')} {len(points)} faults: {found}, {words}")

    def _judged(self, account: Account, *, is_clock_right: bool = True) -> list[Double]:
        """What was doubled since the last time."""
        timeline = Timeline(self._kills, self._refusals, self._house.board.starts_s())
        self._kills, self._refusals = [], []
        known = self._told.since()
        found = [timeline.judge(one, known[one.address] if is_clock_right else ()) for one in account.doubled]
        self.doubles += found
        return found

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
        board.forget()
        led_by = [occasion if self._met_by[point.where].get(occasion) else LOAD for point in points]
        for index, point in enumerate(points):
            skip = self._dice.randrange(max(1, min(int(self._met_by[point.where][led_by[index]]) // 4, MOST_SKIPPED)))
            self._tried[point.where, led_by[index]] += 1
            act, error = point.act(self._dice)
            often = (1, 3, 30) if occasion == LOAD else (1, 3)  # a start that fails is tried again as often
            times = 1 if point.kills or point.role is Role.SUPERVISOR else self._dice.choice(often)
            more = more or times > 1
            board.arm(index, *point.where, act, error, skip, times)
        self._occasions.by_name[occasion]()
        self._wait(points, {LOAD: MEET_S, UPDATE: MEET_UPDATE_S}.get(occasion, MEET_LATE_S))
        if more:
            time.sleep(MORE_S)
        board.disarm()
        for index, point in enumerate(points):
            if board.happened(index):
                self._count(point, led_by[index])
                self._met[point.where, led_by[index]] += 1
                if point.kills and point.role in ENDS_RELAY:
                    self._kills.append(Kill(board.when_s(index), point))
                elif point.role is Role.RELAY and point.place in QUEUE and point.fault in (Fault.ERROR, Fault.FULL):
                    self._refusals.append(Refusal(board.first_s(index), board.when_s(index), point))
        if board.happened(SLOTS - 1):
            self._refusals.append(Refusal(board.first_s(SLOTS - 1), board.when_s(SLOTS - 1), first))
        house.flows()

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
            self._kills.append(Kill(time.monotonic(), self._point))

    def _wait(self, points: Sequence[Point], patience_s: float) -> None:
        """Until all are met, or none was for so long that the others will not be."""
        deadline = time.monotonic() + patience_s
        left = dict(enumerate(points))
        while left and time.monotonic() < deadline:
            self._house.mend()
            for index in [index for index in left if self._house.board.happened(index)]:
                more_s = MEET_AFTER_KILL_S if left.pop(index).kills else patience_s
                deadline = max(deadline, time.monotonic() + more_s)
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
            self._judged(account, is_clock_right=False)
            self.accepted += account.accepted
            is_good = account.is_good and not account.failed and not account.untold
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
        account = house.traffic.account(set(held.values()))
        account.held = sorted(by_fault)
        if held:
            self._occasions.ask("drop", tuple(held)[:500])
        house.traffic.flow(True)
        return account


def _kind(point: Point) -> Place:
    """Definitions are copied to run/."""
    return Place.RUN if point.place is Place.DEFINITIONS else point.place


def _whose_turn(began: Sequence[tuple[float, Point]], when_s: float) -> Point:
    """began: when it was the turn of each."""
    return next((point for begin_s, point in reversed(began) if begin_s <= when_s), began[0][1])
