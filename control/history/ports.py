"""Before a port is saved: whether it can be had, so that the former one stays where it cannot (SMTP-02)."""

from collections.abc import Iterator

from engine.config import Settings
from engine.listening import addresses
from engine.portuse import user_of_port


def taken_ports(before: Settings, after: Settings) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong) of each new address that cannot be had. Ours may be exchanged (SMTP-04)."""
    ours = {one.port for one in addresses(before).values()}
    names = {"smtp": "smtp.listen", "http": "web.http", "https": "web.https"}
    for name, listener in addresses(after).items():
        if listener == addresses(before).get(name) or listener.port in ours:
            continue
        setting = names.get(name, name)
        try:
            user = user_of_port(listener)
        except OSError as error:
            why = error.strerror or error
            text = f"is {listener.host}, where nobody can listen: {why}. Write an address of this machine."
            yield f"{setting}.host", text
            continue
        if user:
            text = f"is {listener.port}, which {user} uses already: the former port stays. Choose another (SMTP-02)."
            yield f"{setting}.port", text
