"""What relays remember of clients, in memory that they share (SMTP-06, RELAY-14)."""

import os
from multiprocessing import get_context

from hypothesis import given
from hypothesis import strategies as st

from engine.limits import AUTH_FORGOTTEN_S, CLIENT_ROWS
from engine.smtp.client_table import ClientTable, Failures
from engine.smtp.shared import SharedCounts

BUCKET = 8


def table(rows: int = BUCKET) -> ClientTable:
    return ClientTable(memoryview(bytearray(ClientTable.length(rows))), rows)


def test_a_full_bucket_forgets_what_is_over_first() -> None:
    """Of eight clients the one that has spent least makes room for a ninth: who has spent much stays known."""
    one = table()
    for client in range(1, BUCKET + 1):
        one.set_spent_until(client, 100.0 - client)
    one.set_spent_until(9, 60.0)
    assert [one.spent_until(client) for client in range(1, 10)] == [99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 93.0, 0.0, 60.0]
    for client in range(10, 1000):  # from however many addresses somebody comes who spends little
        one.set_spent_until(client, 61.0)
    assert [one.spent_until(client) for client in range(1, 8)] == [99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 93.0]


def test_failures_are_kept_for_as_long_as_they_count() -> None:
    one = table()
    one.set_failures(1, Failures(3, 130.0, 100.0))
    for client in range(2, 1000):
        one.set_spent_until(client, 100.0 + AUTH_FORGOTTEN_S - 1)
    assert one.failures(1) == Failures(3, 130.0, 100.0)
    assert one.failures(2) == Failures()


def test_certificates_press_nobody_out() -> None:
    """However long they are remembered: they are forgotten first, as that costs a handshake and no more."""
    one = table()
    for client in range(1, BUCKET):
        one.set_spent_until(client, 60.0)
    for client in range(100, 200):
        one.set_unasked_until(client, 1e9)
    assert [one.spent_until(client) for client in range(1, BUCKET)] == [60.0] * (BUCKET - 1)
    assert [client for client in range(100, 200) if one.unasked_until(client)] == [199]


def test_open_connections_stay_and_nobody_is_taken_for_another() -> None:
    """A bucket of clients that are all connected has no room, and says so by knowing nothing."""
    one = table()
    for client in range(1, BUCKET + 1):
        one.set_open(client, client)
    one.set_open(9, 5)
    one.set_spent_until(9, 1e9)
    one.set_failures(9, Failures(1, 1e9, 1e9))
    assert (one.open(9), one.spent_until(9), one.failures(9)) == (0, 0.0, Failures())
    assert [one.open(client) for client in range(1, 9)] == list(range(1, 9))
    one.set_open(4, 0)
    one.set_open(9, 5)
    assert (one.open(4), one.open(9)) == (0, 5)
    one.clear_open()
    assert {one.open(client) for client in range(10)} == {0}


def test_a_row_that_changes_hands_while_it_is_read() -> None:
    """What another relay reads of it is of neither, and not of the wrong one."""
    one = table()
    one.set_spent_until(1, 50.0)
    row = one._find(1)
    assert row is not None and one._is_still(row, 1)
    one._tags[row] = 2
    assert not one._is_still(row, 1)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.floats(0, 1e6)), max_size=80))
def test_what_is_known_was_said(steps: list[tuple[int, int, float]]) -> None:
    """Whatever is pressed out: what a client is told to have is what was said of it last, or nothing."""
    one = table(2 * BUCKET)
    opened: dict[int, int] = {}
    spent: dict[int, float] = {}
    for client, number, until in steps:
        if number:
            one.set_spent_until(client, until)
            spent[client] = until
        one.set_open(client, number)
        opened[client] = number
        assert all(one.open(each) in (0, number) for each, number in opened.items())
        assert all(one.spent_until(each) in (0.0, until) for each, until in spent.items())


def test_memory_is_as_much_as_is_said() -> None:
    shared = SharedCounts.create(2)
    assert os.fstat(shared.fd).st_size == 16 + 2 * 8 + 2 * 48 * CLIENT_ROWS
    assert os.fstat(shared.fd).st_blocks * 512 <= 4096, "taken as it is written"
    tags = {shared.clients(0).tag(bytes((192, 0, 2, number))) for number in range(256)}
    assert len(tags) == 256 and 0 not in tags
    assert SharedCounts.create(1).clients(0).tag(b"x") != SharedCounts.create(1).clients(0).tag(b"x")


def _says(fd: int) -> None:
    """In another process, which ends without a word."""
    clients = SharedCounts.attach(fd, 2).clients(1)
    client = clients.tag(b"somebody")
    clients.set_open(client, 3)
    clients.set_spent_until(client, 5.0)
    os._exit(9)


def test_another_process() -> None:
    """SMTP-06: what it said is there, as long as nobody clears it."""
    shared = SharedCounts.create(2)
    clients = shared.clients(0)
    process = get_context("fork").Process(target=_says, args=(shared.fd,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    client = clients.tag(b"somebody")
    assert (clients.open_elsewhere(client), clients.spent_until(client)) == (3, 5.0)
    shared.clear(1)
    assert (clients.open_elsewhere(client), clients.spent_until(client)) == (0, 5.0)


def test_so_many_are_remembered_and_no_more() -> None:
    """CLIENT_ROWS of each relay: with one more, one is forgotten."""
    one = table(CLIENT_ROWS)
    for client in range(1, CLIENT_ROWS + 1):
        one.set_spent_until(client, 60.0)
    assert all(one.spent_until(client) for client in range(1, CLIENT_ROWS + 1))
    one.set_spent_until(CLIENT_ROWS + 1, 60.0)
    assert sum(not one.spent_until(client) for client in range(1, CLIENT_ROWS + 2)) == 1
