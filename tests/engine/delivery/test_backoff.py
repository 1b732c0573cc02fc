"""Retry times (PROC-06, DLV-04)."""

from engine.config import Delivery
from engine.delivery.backoff import DAY_NS, S_NS, Backoff, expired, interval_s

DELIVERY = Delivery(retry_first_s=300, retry_last_s=14400)


def test_intervals_double_up_to_the_last() -> None:
    found = [interval_s(failures, DELIVERY) for failures in range(9)]
    assert found == [300, 300, 600, 1200, 2400, 4800, 9600, 14400, 14400]
    assert interval_s(10**9, DELIVERY) == 14400


def test_expiry_counts_from_acceptance_dlv_04() -> None:
    assert not expired(0, 5 * DAY_NS - 1, DELIVERY)
    assert expired(0, 5 * DAY_NS, DELIVERY)
    assert expired(0, 2 * DAY_NS, Delivery(days=1))


def test_one_round_is_one_failure_and_success_forgets() -> None:
    backoff = Backoff()
    assert backoff.failed("hop:25", 0, DELIVERY) == 300 * S_NS
    assert backoff.failed("hop:25", 10 * S_NS, DELIVERY) == 300 * S_NS
    assert backoff.failed("hop:25", 300 * S_NS, DELIVERY) == 900 * S_NS
    assert backoff.due_ns("hop:25") == 900 * S_NS
    assert backoff.accepted("hop:25")
    assert not backoff.accepted("hop:25")
    assert backoff.due_ns("hop:25") == 0


def test_bounded() -> None:
    backoff = Backoff(entries=3)
    for number in range(10):
        backoff.failed(f"hop{number}", 0, DELIVERY)
    assert [number for number in range(10) if backoff.due_ns(f"hop{number}")] == [7, 8, 9]
