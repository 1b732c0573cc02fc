"""Every setting, typed: the one declaration that forms, validation, API and defaults come from (PROC-15).

The file is TOML and the single truth. `load` never guesses: a broken file raises ConfigError with place and
reason, and whoever watches the file keeps the last good one.
"""

import ipaddress
import os
import re
import tempfile
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from engine import limits

FILE_NAME = "mailward.toml"

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=5000)]  # SMTP-06 [D]


class ConfigError(Exception):
    """The operator's mistake: what is wrong and where, one line each."""


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "0.0.0.0"
    port: Port = 25

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Smtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SMTP options (SMTP-01..19)."""

    listen: Listener = Listener()
    hostname: str = ""  # empty: the name of the machine
    max_incoming: Connections = 15  # SMTP-06
    max_outgoing: Connections = 30  # SMTP-05
    max_queued: Annotated[int, msgspec.Meta(ge=0)] = limits.CONNECT_QUEUE  # SMTP-07
    max_recipients: Positive = limits.RECIPIENTS  # SMTP-18
    max_hops: Positive = limits.HOPS
    max_message_mb: Annotated[int, msgspec.Meta(ge=0, le=2047)] = 0  # SIZE-01; 0: off
    command_timeout_s: Positive = int(limits.COMMAND_TIMEOUT_S)
    data_timeout_s: Positive = int(limits.DATA_BLOCK_TIMEOUT_S)
    from_name: str = "Mailward"  # SMTP-09
    from_address: str = ""  # empty: mailward-noreply@hostname


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The administrative interface (HTTP-01..06)."""

    http: Listener = Listener("0.0.0.0", 8003)
    https: Listener = Listener("0.0.0.0", 8043)
    timeout_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 5  # ACC-06
    names: tuple[str, ...] = ()  # further host names that the pages are reached by


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delivery options (DLV-01..06)."""

    pause: bool = False
    reject_incoming: bool = False
    days: Annotated[int, msgspec.Meta(ge=1, le=14)] = 5  # DLV-04
    retry_first_s: Positive = 300
    retry_last_s: Positive = 14400
    connect_timeout_s: Positive = 30
    reply_timeout_s: Positive = 300
    cached_connections: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20  # kept for each next hop and relay
    cache_idle_s: Positive = 30


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the local routing list (RTE-03..08).

    name: domain, host or IP address, wildcards as RTE-08. host empty: kind A, delivered where MX of name points;
    else kind B, handed to host:port. mx: look host up as a mail domain instead of as a host.
    """

    name: str
    host: str = ""
    port: Port = 25
    mx: bool = False


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default_host: str = ""  # RTE-01
    default_port: Port = 25
    local: tuple[Route, ...] = ()


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anti-relay (RELAY-01..11). hosts: names, *.domain, addresses, 1.2.*, CIDR networks."""

    allow_all: bool = False  # RELAY-02: an open relay
    hosts: tuple[str, ...] = ()


class VirusAction(StrEnum):
    REPAIR = "repair"
    DELETE = "delete"
    LOG = "log"


class UnrepairableAction(StrEnum):
    DELETE = "delete"
    LOG = "log"


class LeftoverAction(StrEnum):
    DROP = "drop"
    LOG = "log"


class UnscannedAction(StrEnum):
    """SCAN-07."""

    DELIVER = "deliver"
    DROP = "drop"
    BOUNCE = "bounce"
    HOLD = "hold"


class Antivirus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Antivirus settings (AV-01..10) and what happens to mail that cannot be processed (SCAN-07)."""

    enabled: bool = True
    detected: VirusAction = VirusAction.REPAIR  # AV-04
    unrepairable: UnrepairableAction = UnrepairableAction.DELETE  # AV-05
    left_over: LeftoverAction = LeftoverAction.DROP  # AV-06
    add_text: bool = True  # AV-07
    text: str = (
        "Mailward removed the attachment %FILE% from this message because it contained: %VIRUS%.\n"
        "If you need the file, ask the sender for a clean copy.\n"
    )
    unscanned: UnscannedAction = UnscannedAction.HOLD  # SCAN-07
    definitions: str = "definitions/starter.mwd"  # relative to the root


class ScanLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Container limits (CONT-03..07)."""

    depth: Positive = limits.SCAN_DEPTH
    file_mb: Positive = limits.SCAN_FILE_LEN // limits.MIB
    total_mb: Positive = limits.SCAN_TOTAL_LEN // limits.MIB
    files: Positive = limits.SCAN_FILES
    time_s: Positive = int(limits.SCAN_TIME_S)


class Processes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """0: one per core. user: whom to become after the ports are bound, when started as root."""

    relays: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    scanners_per_relay: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    user: str = "mailward"


class Logging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True  # LOG-01
    keep_weeks: int = 4  # LOG-02; 0: never delete


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    smtp: Smtp = Smtp()
    web: Web = Web()
    delivery: Delivery = Delivery()
    routing: Routing = Routing()
    relay: Relay = Relay()
    antivirus: Antivirus = Antivirus()
    scan: ScanLimits = ScanLimits()
    processes: Processes = Processes()
    logging: Logging = Logging()


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


def parse(text: str, place: str = FILE_NAME) -> Settings:
    """Settings from TOML text. Raises ConfigError naming the line (syntax) or the setting (values)."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{place}: {error}") from None
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}{_line_of(text, str(error))}: {error}") from None
    found = problems(settings)
    if found:
        raise ConfigError("\n".join(f"{place}: {line}" for line in found))
    return settings


def _line_of(text: str, message: str) -> str:
    """`, line N` for the key that a validation message names, as far as it can be told."""
    match = re.search(r"at `\$\.([\w.\[\]]+)`", message) or re.search(r"unknown field `(\w+)`", message)
    if not match:
        return ""
    key = re.sub(r"\[\d+\]", "", match.group(1)).split(".")[-1]
    unknown = re.search(r"unknown field `(\w+)`", message)
    if unknown:
        key = unknown.group(1)
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(\[+[\w.]*\b{re.escape(key)}\]+|{re.escape(key)}\s*=)", line):
            return f", line {number}"
    return ""


def load(path: Path) -> Settings:
    """Settings from a file. Raises ConfigError, also when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return parse(text, str(path))


def dump(settings: Settings) -> str:
    """TOML text of what differs from the defaults, every section named so that people find their way."""
    plain = msgspec.to_builtins(settings)
    default = msgspec.to_builtins(Settings())
    lines = ["# Mailward's settings. Only what differs from the defaults stands here; changes apply at once."]
    for section, values in plain.items():
        lines += _section(section, values, default[section])
    return "\n".join(lines) + "\n"


def _section(name: str, values: dict[str, Any], default: dict[str, Any]) -> list[str]:
    lines = []
    tables = []
    for key, value in values.items():
        if value == default.get(key):
            continue
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            tables.append((key, value))
        else:
            lines.append(f"{key} = {_literal(value)}")
    out = ["", f"[{name}]", *lines] if lines or tables else []
    for key, entries in tables:
        for entry in entries:
            out += [
                "",
                f"[[{name}.{key}]]",
                *(f"{k} = {_literal(v)}" for k, v in entry.items() if v not in ("", False)),
            ]
    return out


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return (
            msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        )  # a JSON string, but for DEL, is a TOML one
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_literal(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(_literal(v) for v in value) + "]"


def save(settings: Settings, path: Path) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one. Raises ConfigError, OSError."""
    text = dump(settings)
    parse(text, str(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".mailward-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o640)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
