"""What is wrong with settings beyond their types: one Problem for each mistake, all of them, with the remedy.

`problems` are refused. `remarks` are things that work, but perhaps not as meant: said by `mailward config check`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_network

from engine import limits
from engine.config import entries, metatags
from engine.config.antivirus import Antivirus, ScannedFiles, UnscannedAction, VirusAction
from engine.config.base import Path, Problem, Section, path_text
from engine.config.blocking import Blocking, BlockLists, Dmarc, Forward
from engine.config.certificates import Acme
from engine.config.delivery import Grant, Relay, RouteTls, Routing, TlsPolicy
from engine.config.diagnostics import ConversationLog, DataStream, Diagnostics, LogLevel, SaveQueueFiles
from engine.config.notices import Kind
from engine.config.quarantine import Quarantine, QuarantinedFiles
from engine.config.settings import Settings
from engine.config.signon import Oidc
from engine.config.smtp import ListenMode
from engine.config.updates import Updates

_NUMBER = 2**31 - 1
_SHOWN = 100  # characters of a wrong entry
_CONTAINERS = (".zip", ".7z", ".rar", ".gz", ".tar", ".tgz", ".cab", ".iso", ".eml", ".docx", ".xlsx", ".pptx", ".pdf")
_FORWARD = "forward"  # the value of every action that forwards


def problems(settings: Settings) -> list[Problem]:
    """Everything that keeps these settings from coming into force, section by section."""
    return [
        *_numbers(settings, ()),
        *_listeners(settings),
        *_names(settings),
        *_delivery(settings),
        *_routing(settings),
        *_relay(settings.relay),
        *_blocking(settings.blocking),
        *_authentication(settings),
        *_each(("antivirus", "include"), settings.antivirus.include, entries.extension_error),
        *_each(("antivirus", "exclude"), settings.antivirus.exclude, entries.extension_error),
        *_each(("antivirus", "heuristics_exempt"), settings.antivirus.heuristics_exempt, entries.exemption_error),
        *_quarantine(settings.quarantine),
        *_updates(settings.updates),
        *_notices(settings),
        *_acme(settings.web.acme),
        *_oidc(settings.web.oidc),
        *_virus_page(settings.logging.virus_page),
    ]


def _numbers(section: Section, path: Path) -> Iterator[Problem]:
    """Numbers that nothing counts to, and that could not be handed on to other processes."""
    for name in section.__struct_fields__:
        value = getattr(section, name)
        here = (*path, name)
        rows = value if isinstance(value, tuple) else ()
        for row_path, row in ((here, value), *(((*here, index), row) for index, row in enumerate(rows))):
            if isinstance(row, Section):
                yield from _numbers(row, row_path)
            elif isinstance(row, int) and row > _NUMBER:
                yield Problem(row_path, f"is {row}: write a number up to {_NUMBER}")


def _each(path: Path, lines: Iterable[str], error_of: Callable[[str], str]) -> Iterator[Problem]:
    """The problems of one list; blank lines are none (BLK-05). Indexes are those of the file."""
    for index, line in enumerate(lines):
        entry = line.strip()
        if entry and (error := error_of(entry)):
            yield Problem((*path, index), f"{_shown(entry)} {error}")


def _one(path: Path, value: str, error_of: Callable[[str], str]) -> Iterator[Problem]:
    if error := error_of(value):
        yield Problem(path, f"{_shown(value)} {error}")


def _shown(value: str) -> str:
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."


def _quarantine(quarantine: Quarantine) -> Iterator[Problem]:
    if quarantine.server:
        yield from _one(("quarantine", "server"), quarantine.server, entries.server_error)
    if quarantine.server and not quarantine.enrollment:
        words = "is empty: name the file that `mailward quarantine enroll` wrote for this gateway (QRN-04)"
        yield Problem(("quarantine", "enrollment"), words)


def _listeners(settings: Settings) -> Iterator[Problem]:
    web, smtp = settings.web, settings.smtp
    ports: list[tuple[Path, int]] = [(("smtp", "listen"), smtp.listen.port)]
    ports += [(("web", "http"), web.http.port), (("web", "https"), web.https.port)]
    ports += [(("smtp", "listeners", index), one.port) for index, one in enumerate(smtp.listeners)]
    for i, (first, port) in enumerate(ports):
        for second, other in ports[i + 1 :]:
            if port == other:
                words = f"and {path_text(second)}.port are both {port}: choose different ports (SMTP-03)"
                yield Problem((*first, "port"), words)
    for path, port in ports:
        if path[0] == "web" and port in (80, 443):
            words = f"is {port}: 80 and 443 belong to ordinary web servers, choose another (HTTP-03)"
            yield Problem((*path, "port"), words)
    if len(smtp.listeners) >= limits.LISTENERS:
        words = f"are {len(smtp.listeners)}: there may be {limits.LISTENERS - 1} besides smtp.listen"
        yield Problem(("smtp", "listeners"), words)
    for index, one in enumerate(smtp.listeners):
        if one.mode is ListenMode.SUBMISSION and not smtp.submitters:
            words = "is submission, and smtp.submitters names no file: nobody could log on (RELAY-14)"
            yield Problem(("smtp", "listeners", index, "mode"), words)


def _names(settings: Settings) -> Iterator[Problem]:
    smtp = settings.smtp
    if smtp.hostname:
        yield from _one(("smtp", "hostname"), smtp.hostname, entries.host_error)
    if smtp.from_address:
        yield from _one(("smtp", "from_address"), smtp.from_address, entries.address_error)
    yield from _own_address(settings)
    yield from _one(("smtp", "from_name"), smtp.from_name, entries.one_line_error)
    yield from _each(("web", "names"), settings.web.names, entries.host_error)
    yield from _each(("web", "metrics_clients"), settings.web.metrics_clients, entries.network_error)
    yield from _each(("smtp", "proxies"), smtp.proxies, entries.network_error)
    yield from _each(("smtp", "xclient"), smtp.xclient, entries.network_error)
    yield from _each(("dns", "servers"), settings.dns.servers, entries.name_server_error)
    yield from _each(("dns", "validating"), settings.dns.validating, entries.bare_address_error)


def _own_address(settings: Settings) -> Iterator[Problem]:
    """SMTP-10: mail to that address is dropped (SMTP-11), so that nobody can be reached there."""
    own = settings.smtp.own_address(settings.smtp.hostname).lower()
    reached: list[tuple[str, Sequence[str]]] = [
        ("notifications.administrators", settings.notifications.administrators),
        ("outbreak.recipients", settings.outbreak.recipients),
    ]
    reached += [
        (f"blocking.{name}.forward.to", [section.forward.to])  # type: ignore[attr-defined]
        for name, section in _forwarding(settings.blocking)
    ]
    for name, addresses in reached:
        if own in (address.strip().lower() for address in addresses):
            words = f"{own!r} is in {name} too, but all mail to it is dropped: write an address that nobody reads"
            yield Problem(("smtp", "from_address"), f"{words} (SMTP-10)")


def _updates(updates: Updates) -> Iterator[Problem]:
    """DEF-03, DEF-04, DEF-09."""
    if updates.enabled and not updates.days.chosen:
        yield Problem(("updates", "days"), "has no day, though updates.enabled is on: choose one (DEF-03)")
    yield from _one(("updates", "first"), updates.first, entries.time_of_day_error)
    yield from _each(("updates", "sources"), updates.sources, entries.update_source_error)
    if len(updates.sources) > limits.UPDATE_SOURCES:
        words = f"are {len(updates.sources)}: there may be {limits.UPDATE_SOURCES}"
        yield Problem(("updates", "sources"), words)


def _acme(acme: Acme) -> Iterator[Problem]:
    """CERT-05: what the authority would refuse, or what it must not be asked without."""
    path: Path = ("web", "acme")
    yield from _one((*path, "directory"), acme.directory, entries.https_url_error)
    if acme.email:
        yield from _one((*path, "email"), acme.email, entries.address_error)
    yield from _each((*path, "names"), acme.names, entries.host_error)
    if acme.enabled and not acme.terms_agreed:
        words = "is off: read the authority's terms of service, and set it to true if you agree"
        yield Problem((*path, "terms_agreed"), words)


def _virus_page(page: str) -> Iterator[Problem]:
    """RPT-09."""
    path: Path = ("logging", "virus_page")
    if page and entries.VIRUS_NAME not in page:
        yield Problem(path, f"{_shown(page)} has no place for the name: write {entries.VIRUS_NAME} there")
    elif page:
        yield from _one(path, page.replace(entries.VIRUS_NAME, "name"), entries.https_url_error)


def _oidc(oidc: Oidc) -> Iterator[Problem]:
    """ACC-11: nobody could sign on, or not safely."""
    path: Path = ("web", "oidc")
    if oidc.issuer or oidc.enabled:
        yield from _one((*path, "issuer"), oidc.issuer, entries.https_url_error)
    for name in ("client_id", "user_claim", "role_claim"):
        if oidc.enabled and not getattr(oidc, name):
            yield Problem((*path, name), "is empty: the provider's page of this client says what to write")
    if oidc.enabled and not (oidc.administrators or oidc.report_only):
        words = f"is empty: name a value of {oidc.role_claim} that lets somebody in"
        yield Problem((*path, "administrators"), words)
    yield from _one((*path, "label"), oidc.label, entries.one_line_error)


def _delivery(settings: Settings) -> Iterator[Problem]:
    delivery = settings.delivery
    if delivery.retry_last_s < delivery.retry_first_s:
        words = f"is {delivery.retry_last_s}, less than delivery.retry_first_s: write {delivery.retry_first_s} or more"
        yield Problem(("delivery", "retry_last_s"), words)
    yield from _each(("delivery", "policy_exempt"), delivery.policy_exempt, entries.host_error)


def _routing(settings: Settings) -> Iterator[Problem]:
    from engine.delivery.route import Protocol, Router, parse_hosts  # it is built on the Structs of this package

    routing = settings.routing
    ours = Router(Routing(), [settings.smtp.listen, *settings.smtp.listeners], settings.smtp.hostname)

    def hosts(path: Path, text: str, port: int, tls: RouteTls, by_mx: bool = False) -> Iterator[Problem]:
        try:
            found = parse_hosts(text, port)
        except ValueError as error:
            words = "write host, host:port, [address]:port, lmtp:host:port, lmtp:unix:/path or smtps:host"
            yield Problem(path, f"{error}: {words}, with commas between several")
            return
        for host in found:
            if by_mx and host.protocol is not Protocol.SMTP:
                words = "is not a mail domain, but mx is on: clear mx, or write the domain alone (RTE-05)"
                yield Problem(path, f"{str(host)!r} {words}")
            if host.is_socket and tls in (RouteTls.REQUIRED, RouteTls.VERIFIED):
                words = 'is a socket of this machine, which has no TLS and needs none: write tls = "default" (DLV-06)'
                yield Problem(path, f"{str(host)!r} {words}")
            if host.protocol is Protocol.SMTPS and tls is RouteTls.NONE:
                words = 'has TLS from the start, but tls is "none": write host:port, or another tls (DLV-06)'
                yield Problem(path, f"{str(host)!r} {words}")
            if not by_mx and ours.is_own_host(host):
                words = "is this gateway itself, so mail would go round and round: write the server behind it (RTE-12)"
                yield Problem(path, f"{str(host)!r} {words}")

    if routing.default_host:
        yield from hosts(("routing", "default_host"), routing.default_host, routing.default_port, routing.default_tls)
    seen: set[str] = set()
    for index, route in enumerate(routing.local):
        path = ("routing", "local", index)
        if route.host:
            yield from hosts((*path, "host"), route.host, route.port, route.tls, route.mx)
        yield from _one((*path, "name"), route.name, entries.route_name_error)
        key = route.name.lower()
        if key in seen:
            yield Problem((*path, "name"), f"{route.name!r} is there twice: remove one of the two (RTE-10)")
        seen.add(key)


def _relay(relay: Relay) -> Iterator[Problem]:
    yield from _each(("relay", "hosts"), relay.hosts, entries.relay_entry_error)
    for index, grant in enumerate(relay.grants):
        yield from _grant(("relay", "grants", index), grant)


def _grant(path: Path, grant: Grant) -> Iterator[Problem]:
    """RELAY-01: what anybody can write into a message or say of himself is no proof by itself."""
    if not grant.network and not grant.tls_name:
        if grant.header or grant.sender_domains:
            words = "has only conditions that anybody can fulfil by writing them: add network or tls_name"
        else:
            words = "has no condition, so everybody could relay: name a network or a tls_name"
        yield Problem(path, words)
    if grant.network:
        yield from _one((*path, "network"), grant.network, entries.relay_entry_error)
    if grant.tls_name:
        yield from _one((*path, "tls_name"), grant.tls_name, entries.certificate_name_error)
    yield from _each((*path, "sender_domains"), grant.sender_domains, entries.domain_entry_error)
    if grant.header and not grant.value:
        yield Problem((*path, "value"), f"is empty: write the body that {grant.header} must have")
    if grant.value and not grant.header:
        yield Problem((*path, "header"), "is empty: write the name of the field that must have this value")
    if grant.header:
        yield from _one((*path, "header"), grant.header, entries.field_name_error)
    yield from _one((*path, "value"), grant.value, entries.one_line_error)


def _blocking(blocking: Blocking) -> Iterator[Problem]:
    top = ("blocking",)
    yield from _each((*top, "subject", "lines"), blocking.subject.lines, entries.subject_entry_error)
    for key in ("names", "modern_names"):
        yield from _each((*top, "files", key), getattr(blocking.files, key), entries.file_name_error)
    yield from _each((*top, "senders", "addresses"), blocking.senders.addresses, entries.sender_entry_error)
    yield from _each((*top, "white_list", "domains"), blocking.white_list.domains, entries.domain_entry_error)
    path = (*top, "characters", "characters")
    yield from _one(path, blocking.characters.characters, entries.characters_error)
    if blocking.characters.enabled and not blocking.characters.characters:
        yield Problem(path, "is empty: write the characters that addresses may not have, such as %!")
    yield from _block_lists(blocking.block_lists)
    for name, section in _forwarding(blocking):
        actions = [key for key in section.__struct_fields__ if getattr(section, key) == _FORWARD]
        yield from _forward((*top, name), actions, getattr(section, "forward"))  # noqa: B009 - not all sections have it


def _forwarding(blocking: Blocking) -> Iterator[tuple[str, Section]]:
    for name in blocking.__struct_fields__:
        section = getattr(blocking, name)
        if hasattr(section, "forward"):
            yield name, section


def _forward(path: Path, actions: list[str], forward: Forward) -> Iterator[Problem]:
    """PROC-18: an empty or invalid address cannot be saved."""
    if forward.to:
        yield from _one((*path, "forward", "to"), forward.to, entries.address_error)
    elif actions:
        words = f'is empty, but {actions[0]} is "forward": write the address that such mail goes to (BLK-04)'
        yield Problem((*path, "forward", "to"), words)
    yield from _one((*path, "forward", "subject"), forward.subject, entries.one_line_error)


def _block_lists(block_lists: BlockLists) -> Iterator[Problem]:
    top = ("blocking", "block_lists")
    seen: set[str] = set()
    for index, one in enumerate(block_lists.lists):
        path = (*top, "lists", index)
        domain = one.domain.strip().rstrip(".").lower()
        if not domain:
            yield Problem((*path, "domain"), "is empty: write the domain of the list, or remove this entry")
        else:
            yield from _one((*path, "domain"), one.domain, entries.host_error)
        if domain and domain in seen:
            yield Problem((*path, "domain"), f"{one.domain!r} is there twice: remove one of the two")
        seen.add(domain)
        yield from _each((*path, "codes"), one.codes, entries.code_error)
        if one.codes_on and not entries.entries(one.codes):
            yield Problem((*path, "codes"), "is empty, so the list would never block: add codes, or clear codes_on")
    total = sum(one.weight for one in block_lists.lists if one.enabled)
    if total and block_lists.score > total:
        words = f"is {block_lists.score}, but the enabled lists weigh {total} together: write {total} or less"
        yield Problem((*top, "score"), words)


def _authentication(settings: Settings) -> Iterator[Problem]:
    authentication = settings.authentication
    if authentication.authserv_id:
        yield from _one(("authentication", "authserv_id"), authentication.authserv_id, entries.authserv_id_error)
    path = ("authentication", "trusted_sealers")
    yield from _each(path, authentication.trusted_sealers, entries.host_error)


def _notices(settings: Settings) -> Iterator[Problem]:
    notifications, outbreak = settings.notifications, settings.outbreak
    path: Path = ("notifications", "administrators")
    yield from _each(path, notifications.administrators, entries.address_error)
    yield from _each(("outbreak", "recipients"), outbreak.recipients, entries.address_error)
    for below, text, allowed in metatags.texts(notifications):
        yield from _text(("notifications", *map(str, below)), text, allowed)
    yield from _text(("outbreak", "subject"), outbreak.subject, frozenset())
    yield from _text(("outbreak", "text"), outbreak.text, frozenset())
    yield from _text(("antivirus", "text"), settings.antivirus.text, frozenset((metatags.FILE, metatags.VIRUSINFO)))
    for name in ("files", "encrypted"):
        text = getattr(settings.blocking, name).text
        yield from _text(("blocking", name, "text"), text, frozenset((metatags.FILE,)))


def _text(path: Path, text: str, allowed: frozenset[str]) -> Iterator[Problem]:
    if path[-1] == "subject":
        yield from _one(path, text, entries.one_line_error)
    for error in metatags.tag_errors(text, allowed):
        yield Problem(path, f"{error} (NTF-16)")


def remarks(settings: Settings) -> list[Problem]:
    """What is allowed, but has no effect or one that may surprise."""
    return [*_without_effect(settings), *_surprising(settings)]


def _without_effect(settings: Settings) -> Iterator[Problem]:
    blocking, notifications = settings.blocking, settings.notifications
    checked = settings.authentication.enabled or blocking.dmarc.enabled
    if blocking.white_list.enabled and blocking.white_list.confirmed and not checked:
        words = "lets no domain through: nothing is confirmed while authentication.enabled is off"
        yield Problem(("blocking", "white_list", "confirmed"), words)
    for name, key in (("subject", "lines"), ("senders", "addresses"), ("files", "names"), ("white_list", "domains")):
        section = getattr(blocking, name)
        if section.enabled and not getattr(section, key):
            yield Problem(("blocking", name, key), f"is empty, so blocking.{name} has nothing to find")
    yield from _nothing_put_aside(settings)
    if settings.outbreak.enabled and not settings.outbreak.recipients:
        yield Problem(("outbreak", "recipients"), "is empty: without recipients no alert is sent (OUT-02)")
    if notifications.administrators:
        return
    wanted = [
        f"notifications.{kind}.administrator"
        for kind in Kind
        if getattr(notifications.of(kind), "administrator").enabled  # noqa: B009
    ]
    wanted += [f"alerts.{name}" for name in settings.alerts.__struct_fields__ if getattr(settings.alerts, name)]
    if wanted:
        words = f"is empty: {wanted[0]} is on, but nobody is named to get it (NTF-13)"
        yield Problem(("notifications", "administrators"), words)


def _nothing_put_aside(settings: Settings) -> Iterator[Problem]:
    """QRN-02."""
    what, antivirus = settings.quarantine.what, settings.antivirus
    if what is not QuarantinedFiles.NOTHING and not antivirus.enabled:
        words = f"is {what}, and antivirus.enabled is off: no infected file is found, so none is put aside (QRN-02)"
        yield Problem(("quarantine", "what"), words)
    elif what is QuarantinedFiles.UNREPAIRED and antivirus.detected is not VirusAction.REPAIR:
        words = f"is unrepaired, and antivirus.detected is {antivirus.detected}: nothing is repaired, so nothing counts"
        yield Problem(("quarantine", "what"), f"{words} as unrepaired or is put aside; choose all (QRN-02)")
    if settings.quarantine.server and what is QuarantinedFiles.NOTHING:
        yield Problem(("quarantine", "server"), "gets nothing: quarantine.what is nothing (QRN-01)")


def _surprising(settings: Settings) -> Iterator[Problem]:
    yield from _revealing(settings.diagnostics)
    from engine.relay_rule import HostList  # it is built on the Structs of this package

    if settings.relay.allow_all:
        words = "makes this an open relay: anybody may send to anybody through it (RELAY-02)"
        yield Problem(("relay", "allow_all"), words)
    for index, proxy in enumerate(settings.smtp.proxies):
        if HostList(settings.relay.hosts).holds(ip_network(proxy, strict=False)[0], None):
            words = f"{proxy!r} is in relay.hosts too: clients that it cannot name may send to anybody"
            yield Problem(("smtp", "proxies", index), words)
    if not settings.antivirus.enabled:
        yield Problem(("antivirus", "enabled"), "is off: nothing is scanned for viruses")
    yield from _not_scanned(settings.antivirus)
    if settings.antivirus.unscanned is UnscannedAction.DELIVER:
        yield Problem(("antivirus", "unscanned"), "delivers mail that could not be examined (SCAN-07)")
    if not settings.routing.local and not settings.routing.default_host:
        words = "is empty, and so is routing.default_host: all mail goes where MX of its domain points (RTE-02)"
        yield Problem(("routing", "local"), words)
    if settings.delivery.pause:
        yield Problem(("delivery", "pause"), "is on: accepted mail waits (DLV-01)")
    if settings.delivery.reject_incoming:
        yield Problem(("delivery", "reject_incoming"), "is on: no mail is accepted (DLV-02)")
    if settings.delivery.tls in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED):
        words = (
            f"is {settings.delivery.tls}: mail for hosts without such TLS waits, and is returned in the end (DLV-06)"
        )
        yield Problem(("delivery", "tls"), words)
    dmarc = settings.blocking.dmarc
    if dmarc.enabled and _rejects_alone(dmarc):
        words = "is off: forwarded and list mail of domains with p=reject is dropped (RFC 9989 s8.3)"
        yield Problem(("blocking", "dmarc", "corroborated"), words)


def _not_scanned(antivirus: Antivirus) -> Iterator[Problem]:
    """SCAN-03, SCAN-04."""
    if antivirus.files is ScannedFiles.LISTED:
        missing = [one for one in _CONTAINERS if one not in {entry.lower() for entry in antivirus.include}]
        if not antivirus.include:
            yield Problem(("antivirus", "include"), "is empty: no file with an extension is scanned for viruses")
        elif missing:
            words = f"has no {missing[0]}: nothing inside of such containers is scanned (SCAN-04)"
            yield Problem(("antivirus", "include"), words)
    elif antivirus.files is ScannedFiles.OTHERS:
        for index, entry in enumerate(antivirus.exclude):
            if entry.lower() in _CONTAINERS:
                words = f"{entry!r} is of containers: programs inside of them are not scanned either (SCAN-03)"
                yield Problem(("antivirus", "exclude", index), words)


def _revealing(diagnostics: Diagnostics) -> Iterator[Problem]:
    """DIAG-09."""
    for name in ("inbound", "outbound"):
        log: ConversationLog = getattr(diagnostics, name)
        if log.level is not LogLevel.DISABLE and log.data is DataStream.ECHO:
            yield Problem(("diagnostics", name, "data"), "is echo: the logs hold the content of mail")
    if diagnostics.save_queue_files is not SaveQueueFiles.DISABLE:
        yield Problem(("diagnostics", "save_queue_files"), "is on: copies of mail are kept for technicians")


def _rejects_alone(dmarc: Dmarc) -> bool:
    return not dmarc.corroborated and dmarc.reject == "drop"
