"""What is wrong with settings beyond their types: one line each, naming the setting and the remedy."""

import ipaddress
import re

from engine.config.settings import Settings

_ONE_WORD = re.compile(r"[^\s\x00-\x1f\x7f<>,;]+")
_WILD_NAME = re.compile(r"(\*\.)?[^*\s@]+")
_WILD_ADDRESS = re.compile(r"(\d{1,3}\.){1,3}\*")


def relay_entry_error(entry: str) -> str:
    """Why a RELAY-03 entry is not one, or an empty string (RELAY-09)."""
    if "/" in entry:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError as error:
            return str(error)
        return ""
    if "*" not in entry:
        return "" if entry and _WILD_NAME.fullmatch(entry) else "is not a host name, an address or a network"
    if _WILD_ADDRESS.fullmatch(entry) or (_WILD_NAME.fullmatch(entry) and entry.startswith("*.")):
        return ""
    return "has * elsewhere than as the first element of a name or the last of an address"


def problems(settings: Settings) -> list[str]:
    """What is wrong with settings beyond their types: one line each, naming the setting."""
    found = []
    web, smtp = settings.web, settings.smtp
    ports = {"smtp.listen": smtp.listen.port, "web.http": web.http.port, "web.https": web.https.port}
    names = list(ports)
    found += [
        f"{a}.port and {b}.port are both {ports[a]}: choose different ports (SMTP-03)"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if ports[a] == ports[b]
    ]
    for name in ("web.http", "web.https"):
        if ports[name] in (80, 443):
            found.append(f"{name}.port is {ports[name]}: 80 and 443 belong to ordinary web servers (HTTP-03)")
    for index, entry in enumerate(settings.relay.hosts):
        reason = relay_entry_error(entry)
        if reason:
            found.append(f"relay.hosts[{index}] {entry!r} {reason}")
    for name, words in (("hostname", smtp.hostname), ("from_address", smtp.from_address)):
        if words and not _ONE_WORD.fullmatch(words):
            found.append(f"smtp.{name} {words!r} has characters that it may not have")
    if smtp.from_address and "@" not in smtp.from_address.strip("@"):
        found.append(f"smtp.from_address {smtp.from_address!r} is not an address like mailward-noreply@example.com")
    seen: set[str] = set()
    from engine.delivery.route import parse_hosts  # it is built on the Structs of this module

    def check_hosts(setting: str, hosts: str, port: int) -> None:
        try:
            parse_hosts(hosts, port)
        except ValueError as error:
            found.append(f"{setting} {error}")

    if settings.routing.default_host:
        check_hosts("routing.default_host", settings.routing.default_host, settings.routing.default_port)
    for index, route in enumerate(settings.routing.local):
        if route.host:
            check_hosts(f"routing.local[{index}].host", route.host, route.port)
        key = route.name.lower()
        if not key:
            found.append(f"routing.local[{index}].name is empty")
        if key in seen:
            found.append(f"routing.local[{index}].name {route.name!r} is there twice (RTE-10)")
        seen.add(key)
    if settings.delivery.retry_last_s < settings.delivery.retry_first_s:
        found.append("delivery.retry_last_s is less than delivery.retry_first_s")
    return found
