"""A store and a desk without a network, on a clock that tests move."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from control.actor import Actor, Role
from control.quarantine_server import settings as server_settings
from control.quarantine_server import vault
from control.quarantine_server.desk import Desk
from control.quarantine_server.index import Filter
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.ordered import Bell
from control.quarantine_server.protocol import Item
from control.quarantine_server.store import Store
from engine import events
from tests.control.quarantine_server.house import item_of

ACTOR: Final = Actor("admin", Role.ADMINISTRATOR, frozenset(), "192.0.2.1")


@dataclass
class Shelf:
    root: Path
    bounds: server_settings.Store = field(default_factory=server_settings.Store)
    now: int = 1_790_000_000_000_000

    def __post_init__(self) -> None:
        layout = ServerLayout(self.root)
        layout.make()
        if not layout.key.exists():
            vault.make_key(layout)
        self.layout = layout
        self.told: list[events.Event] = []
        self.store = Store(layout, self.bounds, lambda: self.now)
        self.desk = Desk(self.store, Bell(), self.told.append, lambda: self.now)

    def put(self, content: bytes, number: int = 1, gateway: str = "gw1", **known: object) -> Item:
        item = item_of(content, number, **known)
        coming = self.store.begin(item)
        try:
            coming.write(content)
            self.store.keep(gateway, item, coming)
        finally:
            coming.drop()
        return item

    def files(self) -> list[Path]:
        return list(self.layout.store.glob("??/*"))

    def numbers(self) -> list[int]:
        return [entry.number for entry in self.store.index.page(Filter())]
