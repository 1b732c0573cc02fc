"""The left pane and the tabs (UI-01..04): where one can go. A page that the account may not see is not offered."""

from typing import Final

import msgspec

from control.actor import Actor, Scope


class Place(msgspec.Struct, frozen=True):
    """A page, or a group of pages: the group's own address is that of its first page. path: no pattern.

    below: what the paths of a group's other pages begin with, which have no tab.
    """

    label: str
    path: str = ""
    scope: Scope = Scope.SETTINGS
    places: tuple["Place", ...] = ()
    below: str = ""

    @property
    def address(self) -> str:
        return self.path or self.places[0].address

    def holds(self, path: str) -> bool:
        """Whether this path is the page, below it, or one of the group's."""
        if self.places:
            return bool(self.below and path.startswith(self.below)) or any(place.holds(path) for place in self.places)
        return path == self.path or path.startswith(self.path + "/")


def _configure_and_notify(label: str, path: str) -> Place:
    return Place(label, places=(Place("Configure", f"{path}/configure"), Place("Notify", f"{path}/notify")))


PLACES: Final = (
    Place("Status", "/status", Scope.STATUS),
    Place(
        "Queues",
        places=(
            Place("Overview", "/queues/overview", Scope.QUEUES),
            Place("Fast", "/queues/fast", Scope.QUEUES),
            Place("Slow", "/queues/slow", Scope.QUEUES),
            Place("Hold", "/queues/hold", Scope.QUEUES),
            Place("Work", "/queues/work", Scope.QUEUES),
        ),
        below="/queues/",
    ),
    Place("Messages", "/messages", Scope.MESSAGES),
    Place(
        "Configuration",
        places=(
            Place("Accounts", "/configuration/accounts", Scope.ACCOUNTS),
            Place(
                "Setup",
                places=(
                    Place("SMTP", "/configuration/setup/smtp"),
                    Place("Delivery", "/configuration/setup/delivery"),
                    Place("HTTP and HTTPS", "/configuration/setup/https"),
                    Place("Certificates", "/configuration/setup/certificates", Scope.CERTIFICATES),
                    Place("Other", "/configuration/setup/other"),
                ),
            ),
            Place("Hold queue", "/configuration/hold", Scope.QUEUES),
            Place("Scan policy", "/configuration/scan"),
            Place("Routing", "/configuration/routing"),
            Place("Alerts", "/configuration/alerts"),
            Place("Logging", "/configuration/logging"),
            Place(
                "Diagnostics",
                places=(
                    Place("What is kept", "/configuration/diagnostics", Scope.DIAGNOSTICS),
                    Place("Diagnostic files", "/configuration/diagnostic-files", Scope.DIAGNOSTICS),
                    Place("Support bundle", "/configuration/support-bundle", Scope.DIAGNOSTICS),
                ),
            ),
            Place("History", "/configuration/history"),
        ),
    ),
    Place(
        "Blocking policy",
        places=(
            _configure_and_notify("Content", "/blocking/content"),
            _configure_and_notify("Container limits", "/blocking/containers"),
            _configure_and_notify("Encrypted containers", "/blocking/encrypted"),
            _configure_and_notify("Anti-spam", "/blocking/spam"),
            Place("Anti-relay", "/blocking/relay"),
            Place("Try a message", "/blocking/try"),
        ),
    ),
    Place(
        "Antivirus policy",
        places=(
            _configure_and_notify("Antivirus settings", "/antivirus/settings"),
            _configure_and_notify("Outbreak alert", "/antivirus/outbreak"),
        ),
    ),
    Place("Definitions", "/definitions", Scope.DEFINITIONS),
    Place(
        "Quarantine",
        places=(
            Place("Files", "/quarantine/items", Scope.QUARANTINE),
            Place("Releases", "/quarantine/releases", Scope.QUARANTINE),
            Place("Settings", "/quarantine/settings"),
        ),
        below="/quarantine/",
    ),
    Place(
        "Reporting",
        places=(
            Place("Summary", "/reports/summary", Scope.REPORTS),
            Place("Detail", "/reports/detail", Scope.REPORTS),
            Place("TLS", "/reports/tls", Scope.REPORTS),
            Place("Saved and scheduled", "/reports/saved", Scope.REPORTS),
        ),
    ),
    Place("Events", "/events", Scope.MESSAGES),
    Place("Setup assistant", "/assistant"),
    Place("My account", "/account", Scope.OWN),
    Place("Help", "/help", Scope.OWN),
)


class Link(msgspec.Struct, frozen=True):
    label: str
    address: str
    current: bool


class Navigation(msgspec.Struct, frozen=True):
    """pane: the left one. tabs: rows of tabs of the page that is shown, from the outside in."""

    pane: tuple[Link, ...] = ()
    tabs: tuple[tuple[Link, ...], ...] = ()


def navigation(places: tuple[Place, ...], actor: Actor, path: str, existing: frozenset[str]) -> Navigation:
    """For the page at path. places: all there are. existing: the paths of all routes."""
    offered = _offered(places, actor, existing)
    tabs, group = [], next((place for place in offered if place.holds(path)), None)
    while group is not None and group.places:
        tabs.append(_links(group.places, path))
        group = next((place for place in group.places if place.holds(path)), None)
    return Navigation(_links(offered, path), tuple(tabs))


def first_page(places: tuple[Place, ...], actor: Actor, existing: frozenset[str]) -> str:
    """Where somebody begins who has logged on."""
    offered = _offered(places, actor, existing)
    return offered[0].address if offered else "/account"


def _offered(places: tuple[Place, ...], actor: Actor, existing: frozenset[str]) -> tuple[Place, ...]:
    found = []
    for place in places:
        if place.places:
            inner = _offered(place.places, actor, existing)
            if inner:
                found.append(msgspec.structs.replace(place, places=inner))
        elif place.path in existing and actor.may(place.scope):
            found.append(place)
    return tuple(found)


def _links(places: tuple[Place, ...], path: str) -> tuple[Link, ...]:
    return tuple(Link(place.label, place.address, place.holds(path)) for place in places)
