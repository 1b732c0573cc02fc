"""Where new definitions come from, and when they are looked for."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.config.base import Section


class Frequency(StrEnum):
    """DEF-04. How often on each chosen day, from the first time on."""

    DAY = "once-a-day"
    HOUR = "every-hour"
    HOURS_2 = "every-2-hours"
    HOURS_3 = "every-3-hours"
    HOURS_4 = "every-4-hours"
    HOURS_6 = "every-6-hours"
    HOURS_8 = "every-8-hours"
    HOURS_12 = "every-12-hours"

    @property
    def hours(self) -> int:
        """Between two attempts of a day; 24: there is one."""
        return _HOURS[self]


_HOURS = dict(zip(Frequency, (24, 1, 2, 3, 4, 6, 8, 12), strict=True))


class Days(Section, frozen=True):
    """DEF-03. In the order of datetime.date.weekday()."""

    monday: bool = True
    tuesday: bool = True
    wednesday: bool = True
    thursday: bool = True
    friday: bool = True
    saturday: bool = True
    sunday: bool = True

    @property
    def chosen(self) -> frozenset[int]:
        """As datetime.date.weekday() counts."""
        return frozenset(place for place, name in enumerate(self.__struct_fields__) if getattr(self, name))


class Updates(Section, frozen=True):
    """DEF-01..09. sources: addresses, tried in their order until one answers; empty: nothing is looked for."""

    enabled: bool = True  # DEF-02
    days: Days = Days()  # DEF-03
    first: str = "06:00"  # DEF-04, of the server's clock
    frequency: Frequency = Frequency.HOUR  # DEF-04
    sources: tuple[str, ...] = ()  # DEF-09
    canary_minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 5  # DEF-16
    oldest_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 8  # the publisher issues one a week (DEF-01)
    digest_days: Annotated[int, msgspec.Meta(ge=0, le=90)] = 7
