"""What one client may have, over several relays of a gateway that runs."""

import os
import signal

from tests.system.harness import Gateway, until
from tests.system.test_hostile import Client

MOST = 6


def test_a_client_is_counted_over_all_relays(gateway: Gateway) -> None:
    """SMTP-06: one too many is refused whichever relay takes it; those of a relay that is killed are free again."""
    gateway.configure(processes={"relays": 2}, smtp={"max_incoming": 50, "max_per_client": MOST})
    gateway.start()
    served = [Client(gateway.smtp).hello() for _ in range(MOST)]
    is_full(gateway)
    victim = gateway.pids("engine.relay")[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(set(gateway.pids("engine.relay")) - {victim}) == 2, "a new relay")
    left = [client for client in served if is_served(client)]
    for client in set(served) - set(left):
        client.__exit__()
    served = left + [Client(gateway.smtp).hello() for _ in range(MOST - len(left))]
    is_full(gateway)
    for client in served:
        client.__exit__()


def is_full(gateway: Gateway) -> None:
    for _ in range(MOST):
        with Client(gateway.smtp) as refused:
            assert refused.reply().startswith(b"421 4.7.0")


def is_served(client: Client) -> bool:
    try:
        return client.say(b"NOOP\r\n") == [250]
    except (OSError, ValueError):  # reset, or no reply
        return False
