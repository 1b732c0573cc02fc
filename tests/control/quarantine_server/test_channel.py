"""Gateways and the server over real mutual TLS."""

import http.client
import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.quarantine_server import authority, protocol
from control.quarantine_server.channel import UPLOADS, UPLOADS_EACH
from control.quarantine_server.protocol import OrderResult, OrderState, Receipt, RecipientResult, Server
from tests.control.harness import PATIENCE_S, wait_until
from tests.control.quarantine_server.house import House, Peer, item_of, made, running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("q") / "root", "[store]", "item_mb = 3", file_len=6 << 20, scans=False) as one:
        yield one


def release(house: House, number: int, recipients: str = "bob@example.com") -> None:
    admin = house.admin()
    fields = {"token": admin.token("/help"), "recipients": recipients, "note": "", "confirmed": "yes"}
    assert admin.request("POST", f"/items/{number}/release", fields).status == 303


def test_an_item_is_taken_once(house: House) -> None:
    """QRN-03, QRN-06: the answer comes when it is on disk; what lies there is encrypted, under a name of no meaning."""
    content = b"a harmless marker of the channel"
    item, peer = item_of(content, 1), house.peer()
    known = msgspec.json.decode(peer.ask("GET", "/v1").body, type=Server)
    assert (known.version, known.gateway, known.item_len, known.takes) == (1, "gw1", 3 << 20, True)
    answers = [peer.put(item, content) for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 200, 200]
    assert [msgspec.json.decode(one.body, type=Receipt).known for one in answers] == [False, True, True]
    assert peer.put(item_of(content + b"!", 1), content + b"!").status == 409
    other = house.peer("gw2").put(item, content)
    assert other.status == 201  # ids of gateways do not meet
    files = list(house.layout.store.glob("??/*"))
    assert len(files) == 1 and files[0].suffix == "" and content not in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert item.sha256 not in str(files[0]) and "invoice" not in str(files[0])


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (b"", b"", 400),
        (b"\xff\xff\xff\xff", b"", 400),
        (b"\x00\x00\x00\x02", b"{}", 400),
        (b"\x00\x00\x00\x05", b"{", 400),
    ],
)
def test_what_is_no_upload_is_refused(house: House, head: bytes, body: bytes, status: int) -> None:
    answer = house.peer().ask("PUT", f"/v1/items/{'0' * 32}", head + body, protocol.UPLOAD_TYPE)
    assert answer.status == status and answer.detail


def test_octets_that_are_not_as_announced_are_refused(house: House) -> None:
    """QRN-03: then the gateway keeps its own."""
    content, peer, before = b"one", house.peer(), house.numbers()
    item = item_of(content, 900)
    path = f"/v1/items/{item.id}"
    head = protocol.upload_head(item)
    assert peer.ask("PUT", path, head + b"two", protocol.UPLOAD_TYPE).status == 400
    assert peer.ask("PUT", path, head + b"on", protocol.UPLOAD_TYPE).status == 400
    assert peer.ask("PUT", path, head + b"one more", protocol.UPLOAD_TYPE).status == 400
    assert peer.ask("PUT", path, head + content, "text/plain").status == 415
    assert peer.ask("PUT", f"/v1/items/{'f' * 32}", head + content, protocol.UPLOAD_TYPE).status == 400
    assert house.numbers() == before and not any(house.layout.coming.iterdir())


def test_what_does_not_fit_stays_with_the_gateway(house: House) -> None:
    """QRN-03, QRN-05: too large is 413; a disk that takes no more is 507, and smaller ones still come."""
    peer = house.peer()
    large = os.urandom((3 << 20) + 1)
    answer = peer.put(item_of(large, 20), large)
    assert answer.status == 413 and "store.item_mb" in answer.detail
    assert peer.put(item_of(large[1:], 21), large[1:]).status == 201


def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    """QRN-03, QRN-05: no octet is lost; what came half is gone, and what fits is still taken. The page tells from 80 %
    of the bounds on how far it is filled, and that nothing more is taken at 100 %.
    """
    with running(tmp_path / "root", "[store]", "max_items = 5", file_len=2 << 20, scans=False) as house:
        large = os.urandom(3 << 20)
        answer = house.peer().put(item_of(large, 1), large)
        assert answer.status == 507 and "full" in answer.detail and int(answer.headers["retry-after"]) > 0
        assert not any(house.layout.coming.iterdir()) and house.numbers() == []
        page = ""
        for number, said in enumerate(("", "", "", "filled to 80 %", "takes nothing more: it holds 5 items")):
            content = b"small %d" % number
            assert house.peer().put(item_of(content, 10 + number), content).status == 201
            page = house.admin().get("/items").text
            assert said in page and ("filled to" in page) == (number == 3)
        assert house.peer().put(item_of(b"one more", 2), b"one more").status == 507
        assert not msgspec.json.decode(house.peer().ask("GET", "/v1").body, type=Server).takes


def test_who_has_no_certificate_of_ours_gets_nowhere(house: House, tmp_path: Path) -> None:
    """QRN-04: not without one, not with one of another authority, and not with one that was taken off."""
    ours = house.peer("gw3")
    assert ours.ask("GET", "/v1").status == 200
    nobody = ssl.create_default_context()
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _asked(house, nobody)
    stranger = made(tmp_path / "other")
    foreign = Peer(stranger.peer("gw3").file, house.gateways_port)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        foreign.ask("GET", "/v1")  # the gateway does not trust this server either
    nobody.load_cert_chain(stranger.peer("gw3").file)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _asked(house, nobody)
    old = ours.context()
    authority.withdraw(house.layout, "gw3")
    assert ours.ask("GET", "/v1").status == 403
    del house.peers["gw3"]
    assert house.peer("gw3").ask("GET", "/v1").status == 200  # enrolled anew, under the same name
    assert _asked(house, old) == 403


def _asked(house: House, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", house.gateways_port, timeout=PATIENCE_S, context=context)
    try:
        connection.request("GET", "/v1")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_release_goes_to_the_gateway_that_sent_it_and_comes_back_with_its_result(house: House) -> None:
    """QRN-09: ordered, picked up, delivered with the reply of the mail server; no other gateway sees any of it."""
    content, peer, other = b"to be released", house.peer(), house.peer("gw2")
    assert peer.put(item_of(content, 30), content).status == 201
    number = house.numbers()[-1]
    release(house, number)
    (order,) = peer.orders()
    assert order.item.id == f"{30:032x}" and order.recipients == ("bob@example.com",) and order.by == "admin"
    assert other.orders() == ()
    assert other.ask("GET", f"/v1/orders/{order.id}/content").status == 404
    done = OrderResult(OrderState.DELIVERED, "2026-03-01T10:00:00Z")
    assert other.report(order.id, done).status == 404
    assert peer.ask("GET", f"/v1/orders/{order.id}/content").body == content
    page = house.admin().get(f"/items/{number}").text
    assert "Release ordered" in page and "Withdraw the release" in page
    picked = OrderResult(OrderState.PICKED_UP, "2026-03-01T10:00:00Z", smtp_id="1N4ABCDEV0009")
    assert peer.report(order.id, picked).status == 204
    assert [one.id for one in peer.orders()] == [order.id]  # until it ends
    admin = house.admin()
    fields = {"token": admin.token("/help"), "confirmed": "yes"}
    assert admin.request("POST", f"/items/{number}/withdraw", fields).status == 409
    assert admin.request("POST", f"/items/{number}/delete", fields).status == 303
    assert number in house.numbers()  # it is on its way
    reply = RecipientResult("bob@example.com", True, "250 2.0.0 ok <b>queued</b>")
    end = OrderResult(OrderState.DELIVERED, "2026-03-01T10:00:01Z", "1N4ABCDEV0009", recipients=(reply,))
    assert peer.report(order.id, end).status == 204
    assert peer.orders() == ()
    late = OrderResult(OrderState.FAILED, "2026-03-01T10:00:02Z", text="too late")
    assert peer.report(order.id, late).status == 204
    page = house.admin().get(f"/items/{number}").text
    assert "Release delivered" in page and "250 2.0.0 ok &lt;b&gt;queued" in page and "too late" not in page


def test_a_gateway_that_waits_hears_of_an_order_at_once(house: House) -> None:
    """QRN-09: and a withdrawn one is gone."""
    content, peer = b"waited for", house.peer("waiting")
    assert peer.put(item_of(content, 31), content).status == 201
    connection = peer.connection()
    connection.request("GET", f"/v1/orders?wait={protocol.WAIT_S}")
    number = house.numbers()[-1]
    release(house, number)
    found = msgspec.json.decode(connection.getresponse().read(), type=protocol.Orders).orders
    connection.close()
    assert [one.item.sha256 for one in found] == [item_of(content).sha256]
    admin = house.admin()
    assert admin.request("POST", f"/items/{number}/withdraw", {"token": admin.token("/help")}).status == 303
    assert peer.orders() == ()
    result = OrderResult(OrderState.FAILED, "2026-03-01T10:00:00Z", text="gone")
    assert peer.report(found[0].id, result).status == 404


def test_a_deleted_item_does_not_come_back(house: House) -> None:
    """QRN-03: an upload that is repeated is answered as before."""
    content, peer, admin = b"to be deleted", house.peer(), house.admin()
    item = item_of(content, 40)
    assert peer.put(item, content).status == 201
    number = house.numbers()[-1]
    assert admin.request("POST", f"/items/{number}/delete", {"token": admin.token("/help"), "confirmed": "yes"})
    assert number not in house.numbers()
    assert peer.put(item, content).status == 200
    assert number not in house.numbers()


def test_broken_results_are_refused(house: House) -> None:
    peer = house.peer()
    for body in (b"", b"[]", b'{"state":"ordered","time":""}', b"\xff"):
        answer = peer.ask("PUT", f"/v1/orders/{'0' * 32}/result", body)
        assert answer.status == 400, body


def test_so_many_uploads_at_once(house: House) -> None:
    """QRN-03: one more is told to come back; one that breaks off leaves nothing, and makes room. One gateway alone
    does not take the places of all.
    """
    content, late = b"one at a time", item_of(b"one at a time", 600)
    peers = [house.peer(f"many{number}") for number in range(UPLOADS // UPLOADS_EACH)]
    connections = []
    for number in range(UPLOADS):
        if number == UPLOADS_EACH:
            wait_until(lambda: len(list(house.layout.coming.iterdir())) == UPLOADS_EACH, "those of one have begun")
            assert peers[0].put(late, content).status == 429
            assert peers[1].put(late, content).status == 201
        item = item_of(content, 500 + number)
        head = protocol.upload_head(item)
        connection = peers[number // UPLOADS_EACH].connection()
        connection.putrequest("PUT", f"/v1/items/{item.id}")
        connection.putheader("content-type", protocol.UPLOAD_TYPE)
        connection.putheader("content-length", str(len(head) + item.size))
        connection.endheaders()
        connection.send(head)
        connections.append(connection)
    wait_until(lambda: len(list(house.layout.coming.iterdir())) == UPLOADS, "all have begun")
    refused = house.peer("another").put(late, content)
    assert refused.status == 429 and refused.headers["retry-after"] == "1"
    for connection in connections:
        connection.close()
    wait_until(lambda: peers[0].put(late, content).status == 201, "there is room again")
    wait_until(lambda: not any(house.layout.coming.iterdir()), "nothing is left")


def test_killed_while_items_come(tmp_path: Path) -> None:
    """QRN-03, QRN-06: an item is there wholly or not at all, and a gateway that has no answer sends it again."""
    content = os.urandom(2 << 20)
    house = made(tmp_path / "root", scans=False)
    house.start()
    peer, item = house.peer(), item_of(content, 1)
    body = protocol.upload_head(item) + content
    connection = peer.connection()
    connection.putrequest("PUT", f"/v1/items/{item.id}")
    connection.putheader("content-type", protocol.UPLOAD_TYPE)
    connection.putheader("content-length", str(len(body)))
    connection.endheaders()
    connection.send(body[:-1])
    wait_until(lambda: any(house.layout.coming.iterdir()), "the upload has begun")
    assert house.stop(signal.SIGKILL) == -signal.SIGKILL
    connection.close()
    house.start()
    assert not any(house.layout.coming.iterdir()) and house.numbers() == []
    assert peer.put(item, content).status == 201
    assert house.stop(signal.SIGKILL) == -signal.SIGKILL  # after the answer it may not be lost
    house.start()
    assert peer.put(item, content).status == 200
    assert len(house.numbers()) == 1 and len(list(house.layout.store.glob("??/*"))) == 1
    assert house.stop() == 0
