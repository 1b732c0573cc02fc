"""SMTP, the pages and processes: what listens, where, and as whom."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine import limits
from engine.config.base import Connections, Port, Positive, Section
from engine.config.certificates import Acme
from engine.config.signon import Oidc


class Listener(Section, frozen=True):
    host: str = "0.0.0.0"
    port: Port = 25

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Acceptance(StrEnum):
    """When a message is acknowledged that is complete."""

    QUEUE = "queue"  # as soon as it is durable; it is examined afterwards
    SCAN = "scan"  # when it was examined, and is durable
    DELIVER = "deliver"  # when the next hop has taken it, or it is durable


class MailListener(Listener, frozen=True):
    accept: Acceptance = Acceptance.QUEUE


class ListenMode(StrEnum):
    MX = "mx"  # mail servers, that nobody knows
    SUBMISSION = "submission"  # people of the site, after AUTH (RFC 6409)


class ListenTls(StrEnum):
    STARTTLS = "starttls"
    IMPLICIT = "implicit"  # from the first octet on (RFC 8314 s3)


class FurtherListener(MailListener, frozen=True):
    """One more address where mail comes in (RELAY-14)."""

    port: Port = 587
    mode: ListenMode = ListenMode.MX
    tls: ListenTls = ListenTls.STARTTLS


class InfectedAction(StrEnum):
    REFUSE = "refuse"
    TREAT = "treat"  # as antivirus.detected says


class BeforeQueue(Section, frozen=True):
    """Clients of listeners with accept scan or deliver wait for what becomes of their mail."""

    wait_s: Annotated[int, msgspec.Meta(ge=1, le=300)] = 60  # they give up after 600 (RFC 5321 s4.5.3.2.6)
    waiting: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    infected: InfectedAction = InfectedAction.REFUSE


class Smtp(Section, frozen=True):
    """SMTP options (SMTP-01..19)."""

    listen: MailListener = MailListener()
    listeners: tuple[FurtherListener, ...] = ()
    submitters: str = ""  # file of `user:hash` lines, below the root
    hostname: str = ""  # empty: the name of the machine
    max_incoming: Connections = 15  # SMTP-06
    max_outgoing: Connections = 30  # SMTP-05
    max_queued: Annotated[int, msgspec.Meta(ge=0)] = limits.CONNECT_QUEUE  # SMTP-07
    max_recipients: Positive = limits.RECIPIENTS  # SMTP-18
    max_messages_per_connection: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: any number
    max_hops: Positive = limits.HOPS
    command_timeout_s: Positive = int(limits.COMMAND_TIMEOUT_S)
    data_timeout_s: Positive = int(limits.DATA_BLOCK_TIMEOUT_S)
    max_per_client: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: as many as there are places
    rate_per_client_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: any
    greet_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0
    error_delay_s: Annotated[int, msgspec.Meta(ge=0, le=60)] = 0
    proxies: tuple[str, ...] = ()  # addresses and networks that have to send a PROXY header
    xclient: tuple[str, ...] = ()  # addresses and networks that may say with XCLIENT whom they speak for
    before_queue: BeforeQueue = BeforeQueue()
    from_name: str = "Mailward"  # SMTP-09
    from_address: str = ""  # empty: mailward-noreply@hostname

    def own_address(self, hostname: str) -> str:
        """That everything the gateway writes itself comes from (SMTP-09). hostname: what it calls itself."""
        return self.from_address or f"mailward-noreply@{hostname}"


class PlainPages(Listener, frozen=True):
    port: Port = 8003


class Pages(Listener, frozen=True):
    port: Port = 8043


class Web(Section, frozen=True):
    """The administrative interface (HTTP-01..06)."""

    http: PlainPages = PlainPages()
    https: Pages = Pages()
    timeout_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 5  # ACC-06
    names: tuple[str, ...] = ()  # further host names that the pages are reached by
    acme: Acme = Acme()
    oidc: Oidc = Oidc()
    metrics_clients: tuple[str, ...] = ("127.0.0.1", "::1")  # addresses and networks that may read /metrics


class Dns(Section, frozen=True):
    """Name servers for everything that is looked up. servers: addresses, or address#port; empty: the machine's own.

    validating: addresses of those that validate DNSSEC and are reached by a way that nobody can get into; servers on
    loopback are believed without that.
    """

    servers: tuple[str, ...] = ()
    validating: tuple[str, ...] = ()


class Processes(Section, frozen=True):
    """0: one per core. user: whom to become after the ports are bound, when started as root."""

    relays: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    scanners_per_relay: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    user: str = "mailward"


class Logging(Section, frozen=True):
    enabled: bool = True  # LOG-01
    keep_weeks: Annotated[int, msgspec.Meta(ge=0, le=520)] = 4  # LOG-02; 0: never delete
    virus_page: str = ""  # RPT-09; {name} stands for the name of the virus
