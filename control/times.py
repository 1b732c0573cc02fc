"""How times are written for people: in the zone of the server."""

import datetime


def _local(microseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC).astimezone()


def local_time(microseconds: int, precise: bool = False) -> str:
    """Since 1970. It names the zone."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S %Z" if precise else "%Y-%m-%d %H:%M %Z")


def clock_time(microseconds: int) -> str:
    """The same for columns whose head names the zone."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S")
