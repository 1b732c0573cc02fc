"""Settings to compare: no criterion, every criterion that needs no DNS, and those that ask DNS about each message."""

from collections.abc import Callable

import msgspec

from engine.config import (
    Authentication,
    Blocking,
    BlockList,
    BlockLists,
    Characters,
    ContainerLimits,
    Dmarc,
    Dns,
    Encrypted,
    FileNames,
    MessageAction,
    Senders,
    Settings,
    Size,
    SubjectLines,
    WhiteList,
)

ENTRIES = 1000  # of each list; none matches the mail of the bench


def off(settings: Settings) -> Settings:
    """Nothing but virus scanning; container limits bound the scanner as ever."""
    return msgspec.structs.replace(settings, blocking=Blocking(encrypted=Encrypted(enabled=False)))


def on(settings: Settings) -> Settings:
    """Every criterion, with long lists. What is matched is only logged, so that the same mail arrives."""
    domains = tuple(f"@domain{number}.example" for number in range(ENTRIES))
    blocking = Blocking(
        size=Size(enabled=True),
        subject=SubjectLines(enabled=True, lines=tuple(f"*cheap offer {number}*" for number in range(ENTRIES))),
        files=FileNames(enabled=True, modern=True, in_containers=True, disguised=True),
        containers=ContainerLimits(ratio_on=True, action=MessageAction.LOG),
        encrypted=Encrypted(end_to_end=True),
        senders=Senders(enabled=True, addresses=domains),
        white_list=WhiteList(enabled=True, domains=domains),
        characters=Characters(enabled=True),
    )
    return msgspec.structs.replace(settings, blocking=blocking)


def asking(server: str) -> Callable[[Settings], Settings]:
    """Every criterion, and SPF, DKIM, DMARC and two block lists, with this name server."""

    def change(settings: Settings) -> Settings:
        lists = tuple(BlockList(f"list{number}.example", enabled=True) for number in range(2))
        blocking = msgspec.structs.replace(
            on(settings).blocking, block_lists=BlockLists(lists=lists), dmarc=Dmarc(enabled=True)
        )
        return msgspec.structs.replace(
            settings, blocking=blocking, authentication=Authentication(enabled=True), dns=Dns((server,))
        )

    return change
