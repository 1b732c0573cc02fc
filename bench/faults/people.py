"""What people do at the pages of a gateway under watch, by their API, and a publisher whose definitions it takes."""

import contextlib
import http.client
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.faults.traffic import Fate
from bench.updates import built
from control.access import AccessDatabase
from control.accounts import ADMIN
from control.accounts.tokens import Tokens
from control.actor import Scope
from control.updates.keys import Keys
from control.updates.publish import publish
from control.updates.repository import Repository
from control.updates.trust import TRUSTED, trust
from engine import config
from engine.layout import Layout

_PATIENCE_S = 5.0
_NO_ANSWER = (OSError, http.client.HTTPException, ValueError)  # it was killed, or is being started
_SOME = 20  # messages
_CHANGED = "delivery.retry_last_s"
_PAGES = ("/login", "/status", "/queues", "/messages", "/reports/summary", "/definitions", "/settings/history")
_JSON = {"Content-Type": "application/json"}


class People:
    """They know nothing of faults: what is not answered is left."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        """root: of a gateway that was set up and does not run."""
        self._dice = dice
        self._port = config.load(root / config.FILE_NAME).web.https.port
        database = AccessDatabase(root)
        _, token = Tokens(database, time.time).make(ADMIN, "bench", Scope, 30)
        database.close()
        self._headers = {"Authorization": f"Bearer {token}"}
        self.answers: Counter[tuple[str, int]] = Counter()

    def look(self) -> None:
        self._ask("GET", "", path=self._dice.choice(_PAGES))
        self._ask("GET", self._dice.choice(("/queues", "/status", "/messages", "/quarantine/items", "/events")))

    def work_on_queues(self) -> None:
        """Some of the slow queue is held, looked at and released; all is retried; what is to be dropped is dropped."""
        found = self._ask("GET", f"/queues/messages?queue=slow&limit={_SOME}").get("messages", ())
        if ids := [one["id"] for one in found]:
            self._ask("POST", "/queues/hold", {"ids": ids})
            self._ask("GET", f"/queues/messages/{self._dice.choice(ids)}")
            self._ask("POST", "/queues/release", {"ids": ids})
        self._ask("POST", "/queues/retry", {"matching": {"queue": "slow"}})
        self._ask("POST", "/queues/drop", {"matching": {"queue": "hold", "recipient": f"{Fate.DROPPED}-*"}})

    def change_settings(self) -> None:
        """And back again."""
        etag = self._ask("GET", "/settings?table=delivery").get("etag", "")
        changed = self._ask("PATCH", "/settings", {"values": {_CHANGED: self._dice.randint(2, 9)}}, etag)
        for one in self._ask("GET", "/settings/history?count=1").get("revisions", ()):
            if [change["setting"] for change in one["changes"]] == [_CHANGED]:  # not the first one, which is all
                self._ask("POST", f"/settings/history/{one['number']}/undo", {}, changed.get("etag", ""))

    def look_into_quarantine(self) -> None:
        for one in self._ask("GET", "/quarantine/items").get("items", ())[:2]:
            self._ask("GET", f"/quarantine/items/{quote(one['id'])}")
            self._ask("DELETE", f"/quarantine/items/{quote(one['id'])}")

    def update(self) -> None:
        self._ask("POST", "/definitions/updates", {})

    def _ask(
        self, method: str, name: str, body: Mapping[str, Any] | None = None, etag: str = "", path: str = ""
    ) -> dict[str, Any]:
        """path: instead of a name of the API. Returns nothing if there is no good answer."""
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=_PATIENCE_S, context=context)
        headers = self._headers | (_JSON if body is not None else {}) | ({"If-Match": etag} if etag else {})
        with contextlib.suppress(*_NO_ANSWER), contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path or f"/api/v1{name}", text, headers)
            answer = connection.getresponse()
            said = answer.read()
            self.answers[f"{method} {name.partition('?')[0]}", answer.status] += 1
            if answer.status < 300 and said.startswith(b"{"):
                return dict(json.loads(said))
        return {}


class Publisher:
    """Two sets of definitions that find the same, by turns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.repository = Repository(folder / "repository", lambda: datetime.now(UTC))
        self._keys = Keys([folder / "keys"], lambda path: None)
        self._root = self.repository.create({}, {}, self._keys, None).to_bytes()
        self._images = built(folder, 0, 2, None)

    def believed_by(self, root: Path) -> None:
        trust(self._root, Layout(root).definitions / TRUSTED)

    def publish(self) -> None:
        self._images.reverse()
        publish(self.repository, self._images[0], self._keys, deltas=1)
