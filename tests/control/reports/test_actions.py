"""Every event has an action, a group and its fields in columns."""

import typing
from typing import Any

import msgspec
import pytest

from control.records.reading import StoredEvent
from control.reports.actions import ACTIONS, GROUPS, action_of, labelled
from control.reports.rows import row_of
from engine import events

# The tables of section 27: ID, action, and what its row must show of an event of that kind
TABLES: list[tuple[str, str, str, Any, dict[str, str]]] = [
    ("RSYS-01", "logon", "Logon", {"result": "Failed", "user": "admin", "client": "::1"},
     {"result": "Failed", "user": "admin", "client": "::1"}),
    ("RSYS-02", "logoff", "Logoff", {"result": "Succeeded", "user": "admin", "client": "::1"},
     {"result": "Succeeded", "user": "admin", "client": "::1"}),
    ("RSYS-03", "definitions-update-session", "Definitions update session", {"result": "Failed"}, {"result": "Failed"}),
    ("RSYS-04", "definitions-updated", "Definitions updated",
     {"result": "Succeeded", "revision": "r7", "number": 9, "date": "2026-03-01T08:00:00Z"},
     {"result": "Succeeded", "details": "revision: r7; number: 9; date: 2026-03-01T08:00:00Z"}),
    ("RSYS-05", "object-modified", "Object modified",
     {"object": "smtp", "user": "a", "client": "::1", "modification": "set"},
     {"name": "smtp", "user": "a", "client": "::1", "handling": "set"}),
    ("RSYS-06", "service-started", "Service started", {"version": "1"}, {"details": "version: 1"}),
    ("RSYS-07", "service-start-failed", "Service start failed", {"reason": "port"}, {"reason": "port"}),
    ("RSYS-08", "service-stopped", "Service stopped", {}, {}),
    ("RSYS-09", "reordering-started", "Reordering started", {}, {}),
    ("RSYS-10", "reordering-stopped", "Reordering stopped", {"moved": 3, "seconds": 0.5},
     {"details": "moved: 3; seconds: 0.5"}),
    ("RSMTP-01", "connection-from", "Connection from", {"result": "accepted", "client": "::1", "connection_id": "c"},
     {"result": "accepted", "client": "::1", "connection_id": "c"}),
    ("RSMTP-02", "connected-to", "Connected to", {"result": "ok", "connection_id": "c", "kind": "Cached"},
     {"result": "ok", "connection_id": "c", "details": "kind: Cached"}),
    ("RSMTP-03", "disconnected", "Disconnected", {"side": "client", "client": "::1", "connection_id": "c"},
     {"client": "::1", "connection_id": "c", "details": "side: client"}),
    ("RSMTP-04", "connection-closed", "Connection closed",
     {"server": "::1", "connection_id": "c", "last_command": "QUIT", "last_response": "221 bye"},
     {"server": "::1", "connection_id": "c", "details": "last command: QUIT; last response: 221 bye"}),
    ("RSMTP-05", "protocol-violation", "Protocol violation", {"client": "::1", "connection_id": "c", "violation": "v"},
     {"client": "::1", "connection_id": "c", "reason": "v"}),
    ("RSMTP-06", "rejected", "Rejected", {"client": "::1", "connection_id": "c", "reason": "size"},
     {"client": "::1", "reason": "size"}),
    ("RMSG-01", "accepted", "Accepted",
     {"smtp_id": "S", "reverse_path": "", "forward_paths": ["b@x", "c@x"], "client": "::1", "connection_id": "c",
      "subject": "s", "size": 7},
     {"sender": "<>", "recipients": "b@x, c@x", "subject": "s", "client": "::1", "connection_id": "c", "smtp_id": "S",
      "size": "7"}),
    ("RMSG-02", "dropped", "Dropped", {"smtp_id": "S", "reason": "r", "reverse_path": "a@x", "forward_paths": ["b@x"]},
     {"sender": "a@x", "recipients": "b@x", "reason": "r", "smtp_id": "S"}),
    ("RMSG-03", "bounced", "Bounced", {"smtp_id": "S", "forward_path": "b@x", "reason": "r"},
     {"recipients": "b@x", "reason": "r", "smtp_id": "S"}),
    ("RMSG-04", "delivered", "Delivered",
     {"smtp_id": "S", "reverse_path": "a@x", "forward_path": "b@x", "client": "::1", "connection_id": "c"},
     {"sender": "a@x", "recipients": "b@x", "client": "::1", "connection_id": "c", "smtp_id": "S"}),
    ("RMSG-05", "delivery-failed", "Delivery failed",
     {"smtp_id": "S", "forward_path": "b@x", "reason": "r", "client": "::1"},
     {"client": "::1", "recipients": "b@x", "reason": "r", "smtp_id": "S"}),
    ("RMSG-06", "completed", "Completed", {"smtp_id": "S"}, {"smtp_id": "S"}),
    ("RMSG-07", "delivery-suppressed", "Delivery suppressed",
     {"smtp_id": "S", "reverse_path": "a@x", "forward_path": "b@x", "reason": "r"},
     {"sender": "a@x", "recipients": "b@x", "smtp_id": "S"}),
    *(
        (id_, kind, label, {"smtp_id": "S", "reverse_path": "a@x", "forward_paths": ["b@x"], "virus": "V", "part": "2"},
         {"sender": "a@x", "recipients": "b@x", "name": "V", "details": "part: 2"})
        for id_, kind, label in (
            ("RBLK-01", "virus-logged", "Virus logged"),
            ("RBLK-02", "file-repaired", "File repaired"),
            ("RBLK-03", "file-deleted", "File deleted"),
        )
    ),
    ("RBLK-04", "file-quarantined", "File quarantined", {"file": "f.exe"}, {"name": "f.exe"}),
    ("RBLK-05", "subject-blocked", "Subject blocked",
     {"smtp_id": "S", "reverse_path": "a@x", "subject": "s", "entry": "*s*", "handling": "drop"},
     {"sender": "a@x", "subject": "s", "matched": "*s*", "handling": "drop"}),
    ("RBLK-06", "scan-error", "Scan error",
     {"smtp_id": "S", "reverse_path": "a@x", "forward_paths": ["b@x"], "description": "d"},
     {"sender": "a@x", "recipients": "b@x", "reason": "d"}),
    ("RBLK-07", "sender-blocked", "Sender blocked", {"sender": "a@x", "entry": "@x", "reverse_path": "b@x"},
     {"sender": "a@x", "matched": "@x"}),
    ("RBLK-08", "attachment-deleted", "Attachment deleted",
     {"smtp_id": "S", "reverse_path": "a@x", "forward_paths": ["b@x"], "part": "2", "file": "f.exe", "reason": "*.exe"},
     {"name": "f.exe", "sender": "a@x", "recipients": "b@x", "smtp_id": "S", "reason": "*.exe"}),
    ("RBLK-09", "spam-list-block", "Spam list block",
     {"smtp_id": "S", "handling": "drop", "reason": "bl", "reverse_path": "a@x", "forward_paths": ["b@x"]},
     {"handling": "drop", "sender": "a@x", "recipients": "b@x", "smtp_id": "S", "reason": "bl"}),
    ("RBLK-10", "heuristic-spam", "Heuristic spam detection",
     {"client": "::1", "reverse_path": "a@x", "forward_paths": ["b@x"], "subject": "s", "size": 7, "smtp_id": "S",
      "score": 93},
     {"client": "::1", "sender": "a@x", "recipients": "b@x", "subject": "s", "size": "7", "smtp_id": "S",
      "details": "score: 93"}),
]  # fmt: skip
GROUP_OF = {"RSYS": "System", "RSMTP": "SMTP", "RMSG": "Message", "RBLK": "Blocking"}


@pytest.mark.parametrize(("id_", "kind", "label", "fields", "cells"), TABLES, ids=[row[0] for row in TABLES])
def test_rows_of_the_tables(id_: str, kind: str, label: str, fields: dict[str, object], cells: dict[str, str]) -> None:
    """RPT-17, LOG-05, GAP-01, GAP-36: RSYS-01, RSYS-02, RSYS-03, RSYS-04, RSYS-05, RSYS-06, RSYS-07, RSYS-08, RSYS-09,
    RSYS-10, RSMTP-01, RSMTP-02, RSMTP-03, RSMTP-04, RSMTP-05, RSMTP-06, RMSG-01, RMSG-02, RMSG-03, RMSG-04, RMSG-05,
    RMSG-06, RMSG-07, RBLK-01, RBLK-02, RBLK-03, RBLK-05, RBLK-06, RBLK-07, RBLK-08, RBLK-09.
    """
    line = msgspec.json.encode({"event": kind, **fields, "time": "2026-03-01T09:30:00Z", "process": "relay-0"})
    row = row_of(StoredEvent(1_772_357_400_000_000, kind, line.decode()))
    assert (row.group, row.action) == (GROUP_OF[id_.partition("-")[0]], label)
    assert {name: getattr(row, name) for name in cells} == cells
    assert row.cells()[0].startswith("2026-03-01") and len(row.cells()) == 20


def test_every_event_of_the_gateway_has_an_action() -> None:
    """RPT-17: also those that the tables do not name: held, forwarded, container limit, encrypted, outbreak, alerts."""
    kinds = {str(one.__struct_config__.tag) for one in typing.get_args(events.AnyEvent)}
    assert sorted(kinds - ACTIONS.keys()) == []
    assert {action.group for action in ACTIONS.values()} == set(GROUPS)
    for kind in ("held", "forwarded", "container-limit-exceeded", "encrypted-container", "outbreak", "alert-sent"):
        assert kind in ACTIONS


def test_an_event_of_another_version_is_shown_all_the_same() -> None:
    action = action_of("teapot-boiled")
    assert (action.group, action.label) == ("System", "Teapot boiled")
    line = '{"event":"teapot-boiled","time":"2026-03-01T09:30:00Z","hot":true,"cups":{"blue":2},"who":["a",1]}'
    assert row_of(StoredEvent(0, "teapot-boiled", line)).details == "hot: yes; cups: blue 2; who: a, 1"


def test_words_of_actions_are_found() -> None:
    """RPT-13: the action is a field of the row too."""
    assert labelled("virus LOGGED") == {"virus-logged"}
    assert "held" in labelled("message") and "logon" not in labelled("message")
    assert labelled("nothing of that kind") == frozenset()
