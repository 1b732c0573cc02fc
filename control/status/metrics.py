"""The figures for Prometheus and its kin (STAT-30), in OpenMetrics or the older text format. Names are stable.

No label has values that mail can choose: there are as many series as relays, queues and kinds of results, never more.
Counters begin anew when the service is started, as those of the Status page do; whoever reads them knows how to take
that. They come from the same snapshot of the store as that page.
"""

import shutil
from collections.abc import Iterator
from typing import Final

import msgspec
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

import engine
from control.context import Context
from control.records.tallies import Totals
from control.status.readiness import Readiness, readiness
from control.status.snapshot import Snapshot, snapshot
from engine import events

# name, what it counts, and for each value of its label the kind of event; without a label the kind alone
_COUNTED: Final = (
    (
        "mailward_messages",
        "Messages by what became of them; delivered and forwarded count each recipient.",
        "result",
        {
            "accepted": "accepted",
            "rejected": "rejected",
            "delivered": "delivered",
            "dropped": "dropped",
            "held": "held",
            "forwarded": "forwarded",
            "deferred": "delivery-deferred",
            "failed": "delivery-failed",
            "bounced": "bounced",
        },
    ),
    (
        "mailward_infected_files",
        "Infected files by what was done to them.",
        "treatment",
        {
            "repaired": "file-repaired",
            "deleted": "file-deleted",
            "refused": "file-refused",
            "logged": "virus-logged",
        },
    ),
    ("mailward_quarantined_files", "Files that were put into the quarantine.", "", {"": "file-quarantined"}),
    (
        "mailward_attachments_stripped",
        "Top-level attachments taken off messages.",
        "",
        {"": "attachment-deleted"},
    ),
    (
        "mailward_smtp_connections",
        "SMTP connections by who began them.",
        "direction",
        {"in": "connection-from", "out": "connected-to"},
    ),
    ("mailward_smtp_violations", "Violations of the protocol by SMTP clients.", "", {"": "protocol-violation"}),
    ("mailward_next_hop_failures", "Next hops that could not be reached.", "", {"": "connection-failed"}),
    ("mailward_scanner_crashes", "Scanners that ended on a message.", "", {"": "scanner-crashed"}),
    ("mailward_process_restarts", "Processes that were started again.", "", {"": "process-restarted"}),
)


def exposition(context: Context, accept: str) -> tuple[bytes, str]:
    """The text and its media type. accept: what the client says it reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(context))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Figures(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        context = self._context
        seen, ready = snapshot(context), readiness(context)
        yield from _counters(seen.totals)
        yield from _queues(seen)
        yield from _service(seen)
        yield from _state(context)
        yield from _definitions(seen)
        yield from _health(ready, seen)
        yield from _machine(context)


def _counters(totals: dict[str, Totals]) -> Iterator[Metric]:
    for name, text, label, kinds in _COUNTED:
        family = CounterMetricFamily(name, text, labels=[label] if label else [])
        for value, kind in kinds.items():
            family.add_metric([value] if label else [], totals.get(kind, Totals()).count)
        yield family
    received = totals.get("accepted", Totals()).amount
    yield CounterMetricFamily("mailward_received_bytes", "Octets of accepted messages.", value=received)
    unscanned = totals.get("scanned", Totals()).amount
    text = "Messages of which a part could not be scanned."
    yield CounterMetricFamily("mailward_unscanned_messages", text, value=unscanned)


def _queues(seen: Snapshot) -> Iterator[Metric]:
    family = GaugeMetricFamily("mailward_queue_messages", "Messages that are in a queue now.", labels=["queue"])
    if seen.queues is not None:
        for queue in ("fast", "slow", "hold"):
            family.add_metric([queue], getattr(seen.queues, queue))
    yield family


def _service(seen: Snapshot) -> Iterator[Metric]:
    version = {"version": engine.VERSION}
    yield InfoMetricFamily("mailward_build", "What runs.", value=version)
    if seen.started:
        text = "When the service was started, in seconds since 1970."
        yield GaugeMetricFamily("mailward_start_time_seconds", text, value=seen.started / 1_000_000)


def _state(context: Context) -> Iterator[Metric]:
    settings = context.settings()
    switches = (
        ("mailward_virus_scanning_enabled", "Whether mail is scanned for viruses.", settings.antivirus.enabled),
        (
            "mailward_delivery_paused",
            "Whether accepted mail waits because delivery is paused.",
            settings.delivery.pause,
        ),
        ("mailward_incoming_rejected", "Whether all mail is refused for now.", settings.delivery.reject_incoming),
        ("mailward_open_relay", "Whether anybody may send to anybody.", settings.relay.allow_all),
        ("mailward_settings_broken", "Whether the settings file has an error.", bool(context.settings.problem)),
    )
    for name, text, value in switches:
        yield GaugeMetricFamily(name, text, value=float(value))


def _definitions(seen: Snapshot) -> Iterator[Metric]:
    if seen.definitions is None:
        return
    loaded = msgspec.json.decode(seen.definitions.line, type=events.DefinitionsLoaded)
    yield InfoMetricFamily("mailward_definitions", "Definitions in use.", value={"revision": loaded.revision})
    yield GaugeMetricFamily("mailward_definitions_signatures", "Signatures in use.", value=loaded.signatures)
    at = seen.definitions.time / 1_000_000
    text = "When the definitions in use were loaded, in seconds since 1970."
    yield GaugeMetricFamily("mailward_definitions_loaded_timestamp_seconds", text, value=at)


def _health(ready: Readiness, seen: Snapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily("mailward_ready", "Whether everything does its work.", value=float(ready.ready))
    relays = GaugeMetricFamily("mailward_relay_up", "Whether a relay answers.", labels=["relay"])
    for number, answers in ready.relays.items():
        relays.add_metric([str(number)], float(answers))
    yield relays
    text = "Octets of the journal that these figures do not know yet."
    yield GaugeMetricFamily("mailward_journal_unread_bytes", text, value=ready.unread)
    notices = GaugeMetricFamily("mailward_notices", "Notices on the Status page.", labels=["level"])
    for level in ("bad", "warn"):
        notices.add_metric([level], sum(notice.level == level for notice in seen.notices))
    yield notices


def _machine(context: Context) -> Iterator[Metric]:
    free = GaugeMetricFamily("mailward_disk_free_bytes", "Free space where files grow.", labels=["directory"])
    size = GaugeMetricFamily("mailward_disk_size_bytes", "Size of the disk where files grow.", labels=["directory"])
    for name, path in (("queue", context.layout.queue), ("log", context.layout.journal)):
        try:
            usage = shutil.disk_usage(path)
        except OSError:
            continue  # the notices say so
        free.add_metric([name], usage.free)
        size.add_metric([name], usage.total)
    yield free
    yield size
    if (certificate := context.certificates.installed()) is not None:
        text = "When the TLS certificate expires, in seconds since 1970."
        at = certificate.expires.timestamp()
        yield GaugeMetricFamily("mailward_certificate_expiry_timestamp_seconds", text, value=at)
