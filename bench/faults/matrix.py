"""What is done at each fault point while mail flows, and what is found when all is delivered."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from bench.faults.board import Act, Call, Place, Role
from bench.faults.house import FLOW_S, House
from bench.faults.occasions import LOAD, Occasions
from bench.faults.points import Point, Tally, Where, points_at
from bench.faults.traffic import Account
from engine.queue import listing

WATCHED = (Role.RELAY, Role.SCANNER, Role.SUPERVISOR, Role.CONTROL)
ENDS_RELAY = (Role.RELAY, Role.SUPERVISOR)
OFTEN_PER_S = 4.0  # a call that the load alone meets soon
MEET_S = 1.5  # so long is it waited for a fault to be met
WEIGHTS = {LOAD: 8.0, "service starts": 0.2, "stop and start": 0.2}  # of 1: how often an occasion is taken
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
        self.accepted = 0
        self.held = 0
        self.gaps_s: list[float] = []
        self._occasions = Occasions(house, dice, self._killed)
        self._met_by: dict[Where, Counter[str]] = {}
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
            time.sleep(seconds)
            passed_s = time.monotonic() - began_s
            for where, count in self._counts().items():
                met_by, more = self._met_by.setdefault(where, Counter()), count - before.get(where, 0)
                if name == LOAD:
                    met_by[LOAD] = round(more / passed_s)
                elif more > 2 * met_by[LOAD] * passed_s:  # not by the mail that flows meanwhile
                    met_by[name] = more
        self.settle()
        places = [where for where, met_by in sorted(self._met_by.items()) if met_by.total()]
        moments = [Point(role, None, Place.NOWHERE, Act.KILL_BEFORE) for role in WATCHED]
        return [*(point for where in places for point in points_at(where)), *moments]

    def _counts(self) -> dict[Where, int]:
        board = self._house.board
        places = [(role, call, place) for role in WATCHED for call in Call for place in Place]
        return {where: count for where in places if (count := board.count(*where))}

    # --- faults -----------------------------------------------------------------------------------

    def batch(self, points: Sequence[Point], runs: int) -> None:
        """A fault at each of these that was not met so often yet, one after the other, and then the account."""
        began: list[tuple[float, Point]] = []
        for point in points:
            tally = self.tallies.setdefault(point, Tally())
            if tally.met >= runs or (not tally.met and tally.runs >= HOPELESS):
                continue
            began.append((time.monotonic(), point))
            tally.runs += 1
            try:
                occasion = self.once(point)
            except AssertionError as error:
                self._say(f"BAD: {point}: {error}")
                self.stuck.append(point)
                self._house.gateway.end(signal.SIGKILL)
                occasion = ""
            tally.met += bool(occasion)
            tally.occasions.update([occasion] if occasion else [])
        if began:
            self._book(began, self.settle())

    def _book(self, began: list[tuple[float, Point]], account: Account) -> None:
        self.accepted += account.accepted
        self.held += len(account.held)
        points = [point for _, point in began]
        for _, accepted_s in account.lost:
            later = [point for point, (end_s, _) in zip(points, began[1:], strict=False) if end_s > accepted_s]
            self.tallies[(later or points[-1:])[0]].lost += 1
        for twice in account.doubled:
            blamed = None if twice.kill is None else self._kills_of_batch[twice.kill][1]
            if blamed is not None:
                self.tallies[blamed].doubled += 1
                self.gaps_s.append(twice.gap_s)
        if not account.is_good:
            self.bad.append((points, account))
        found = f"{account.accepted} accepted, {len(account.doubled)} doubled, {len(account.held)} held"
        self._say(
            f"{time.strftime('%X')} {len(points)} faults: {found}, {'good' if account.is_good else f'BAD: {account}'}"
        )

    def once(self, point: Point) -> str:
        """One fault. Returns what it was met by, or nothing; mail flows again."""
        house, board = self._house, self._house.board
        self._point = point
        if point.call is None:
            time.sleep(self._dice.random() * 0.1)  # a random moment, not a wait for something
            house.kill_one(point.role, self._dice)
            self._killed(point.role)
            house.flows()
            return "a signal"
        occasion, often = self._choose(point.where)
        times = 1 if point.act.kills or point.role is Role.SUPERVISOR else self._dice.choice((1, 3, 30))
        skip = self._dice.randrange(max(min(often // 2, 20), 1))
        board.arm(point.role, point.call, point.place, point.act, point.error, skip, times)
        self._occasions.by_name[occasion]()
        met = self._meets()
        if met and point.act.kills and point.role in ENDS_RELAY:
            self._kills.append((board.when_s, point))
        if times > 1 and met:
            time.sleep(MORE_S)
        board.disarm()
        house.flows()
        return occasion if met else ""

    def _choose(self, where: Where) -> tuple[str, int]:
        """An occasion at which this call was met, and how often. Mostly one that costs little."""
        met_by = self._met_by[where]
        names = [name for name, often in met_by.items() if name != LOAD or often >= OFTEN_PER_S] or [LOAD]
        name = self._dice.choices(names, [WEIGHTS.get(one, 1.0) for one in names])[0]
        return name, met_by[name]

    def _killed(self, role: Role) -> None:
        if role in ENDS_RELAY:
            self._kills.append((time.monotonic(), self._point))

    def _meets(self) -> bool:
        deadline = time.monotonic() + MEET_S
        while not self._house.board.happened and time.monotonic() < deadline:
            time.sleep(0.005)
        return self._house.board.happened > 0

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
            self._occasions.ask("retry")
            time.sleep(0.05)
            waiting = house.traffic.unanswered + len(listing.Queue(house.root, ("fast", "slow")))
            held = {one.id: one.received.reverse_path for one in listing.Queue(house.root, ("hold",))}
            wanted = house.traffic.held()
            extra = [smtp_id for smtp_id, path in held.items() if path not in wanted]
            by_fault.update(held[smtp_id] for smtp_id in extra)
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
