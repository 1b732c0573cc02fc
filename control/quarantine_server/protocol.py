"""What gateways and the central quarantine server say to each other (QRN-03, QRN-04, QRN-09).

HTTPS with TLS 1.2 or later and a certificate on both sides; every connection is made by the gateway. Which gateway it
is stands in its certificate and nowhere else, so that nobody speaks for another. What a gateway needs for that is one
file of `mailward quarantine enroll`, in PEM: its private key, its certificate, and the certificate of the server's own
authority, the only one that it trusts here.

    GET  /v1                        what the server takes just now: `Server`
    PUT  /v1/items/ID               one item, see `upload_head`                          -> 201, 200 `Receipt`
    GET  /v1/orders?wait=SECONDS    what this gateway is to do, oldest first             -> 200 `Orders`
    GET  /v1/orders/ID/content      the octets of the item that the order is about       -> 200 octets
    PUT  /v1/orders/ID/result       how far it got: `OrderResult`, JSON                  -> 204

Bodies are JSON in UTF-8 unless said otherwise. A refusal is a problem of RFC 9457 (`application/problem+json`) whose
`detail` is for people. Fields that are not known are passed over, so that either side may be older.

*Nothing is lost:* 2xx to an upload is said when the item is on the server's disk, or was and has been deleted there by
somebody since. Only then may the gateway delete its own. An upload may be repeated as often as is liked: the id, which
the gateway gives an item once, makes it one item. After anything else, and after no answer, the gateway keeps the item:

    400, 411, 415, 422   not understood: it is a defect; try again after an upgrade, at most every hour
    403                  this gateway is not enrolled any more: try every hour
    409                  there is another file under this id: it is a defect; give the item a new id
    413                  larger than the server takes: keep it, and try again at most once a day
    429, 500, 503        later, with back-off; `retry-after` gives seconds
    507                  the server is full: later, with back-off

*Orders* are given until they end. A gateway that was given an order it knows already does not do it twice: the id is
what it remembers, durably, before it sends the mail. A result may be repeated; after a state that ends the order
(`delivered`, `failed`) further ones change nothing. 404 to a result: the order was withdrawn, forget it. Before it
sends the mail a gateway says `picked-up`: from then on the order cannot be withdrawn. It sends only what it has put
aside itself, which it knows by the id.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from engine import limits

VERSION: Final = 1
PORT: Final = 8453
ROOT: Final = "/v1"
ITEM_PATH: Final = "/v1/items/{id}"
ORDERS_PATH: Final = "/v1/orders"
CONTENT_PATH: Final = "/v1/orders/{id}/content"
RESULT_PATH: Final = "/v1/orders/{id}/result"
UPLOAD_TYPE: Final = "application/vnd.mailward.quarantine-item"
WAIT_S: Final = 30  # a request for orders is answered at once if there are any, else after this at the latest

HEAD_LEN: Final = 4 * limits.MIB  # octets of JSON: all texts below at their longest, each character written as six
RESULT_LEN: Final = 9 * limits.MIB
TEXT_LEN: Final = 1000  # characters of a name, a subject, a reply
ADDRESS_LEN: Final = 330  # more than an address of RFC 5321 s4.5.3.1 may have
VIRUSES: Final = 50
REASONS: Final = 50
ORDERS: Final = 100  # in one answer
ID: Final = re.compile(r"[0-9a-f]{32}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LENGTH_LEN: Final = 4


class Malformed(ValueError):
    """What was sent is not of this protocol, in words for the other side's operator."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a gateway knows of a quarantined file. All words of strangers are as they came, cut to the bounds above.

    id: 32 hexadecimal digits that the gateway made for it with a key of its own. sha256, size: of the content. smtp_id,
    part: where it was (`part` as the journal writes it). kind: by its content. reasons: why a heuristic took it, in
    plain words. fate: what became of it in the mail (`repaired`, `deleted`, `logged`). sender: reverse-path, empty for
    a bounce. time: when it was quarantined, RFC 3339. revision: of the definitions that found it.
    """

    id: str
    sha256: str
    size: int
    name: str = ""
    viruses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    smtp_id: str = ""
    part: str = ""
    kind: str = ""
    fate: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    time: str = ""
    revision: str = ""


class Server(msgspec.Struct, frozen=True):
    """version: of this protocol. gateway: whom the server takes the caller for. item_len: octets of one file, at most.

    takes: whether an upload would be taken now; reason: why not.
    """

    version: int
    gateway: str
    item_len: int
    takes: bool
    reason: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """known: the item was there already."""

    id: str
    sha256: str
    known: bool = False


class Order(msgspec.Struct, frozen=True):
    """To send the item's file, unchanged, to these recipients.

    The mail is exempt from being blocked for this one file, known by its digest, and for nothing else in it. by: who
    ordered it. time: when, RFC 3339. note: what that person wrote to the recipients.
    """

    id: str
    item: Item
    recipients: tuple[str, ...]
    by: str
    time: str
    note: str = ""


class Orders(msgspec.Struct, frozen=True):
    orders: tuple[Order, ...] = ()


class OrderState(StrEnum):
    ORDERED = "ordered"  # the gateway was not told yet
    PICKED_UP = "picked-up"  # the gateway has begun with it: it cannot be withdrawn any more
    DELIVERED = "delivered"  # the next hop has taken it for every recipient
    FAILED = "failed"  # not for every recipient, or it could not be sent at all


ENDED: Final = frozenset({OrderState.DELIVERED, OrderState.FAILED})


class RecipientResult(msgspec.Struct, frozen=True):
    """reply: of the next hop, as it came."""

    recipient: str
    delivered: bool
    reply: str


class OrderResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """state: any but `ordered`. smtp_id: of the new mail, once there is one. text: why there is none, or what helps.

    time: RFC 3339. recipients: those whose result is known.
    """

    state: OrderState
    time: str
    smtp_id: str = ""
    text: str = ""
    recipients: tuple[RecipientResult, ...] = ()


# --- an upload: [u32 big-endian: octets of the JSON][JSON of an Item][the file]; content-length says where it ends ---


def upload_head(item: Item) -> bytes:
    """What goes before the file; the whole body has len(head) + item.size octets."""
    head = msgspec.json.encode(fitting(item))
    return len(head).to_bytes(_LENGTH_LEN, "big") + head


class UploadReader:
    """Takes an upload apart as it comes in. `item` is None until its octets are here."""

    def __init__(self) -> None:
        self.item: Item | None = None
        self._begin = bytearray()
        self._rest = -1  # octets of the file that are still to come

    def feed(self, chunk: bytes) -> bytes:
        """The octets of the file among these. Raises Malformed."""
        if self.item is None:
            self._begin += chunk
            chunk = self._after_head()
        if self.item is not None:
            self._rest -= len(chunk)
            if self._rest < 0:
                raise Malformed(f"more octets came than the {self.item.size} that were announced")
        return chunk

    def finish(self) -> Item:
        """When all is here. Raises Malformed."""
        if self.item is None or self._rest:
            raise Malformed("it ended before its end")
        return self.item

    def _after_head(self) -> bytes:
        if len(self._begin) < _LENGTH_LEN:
            return b""
        length = int.from_bytes(self._begin[:_LENGTH_LEN], "big")
        if length > HEAD_LEN:
            raise Malformed(f"its description has {length} octets: {HEAD_LEN} are the most")
        end = _LENGTH_LEN + length
        if len(self._begin) < end:
            return b""
        self.item = item_of(bytes(self._begin[_LENGTH_LEN:end]))
        self._rest = self.item.size
        after = bytes(self._begin[end:])
        self._begin.clear()
        return after


def item_of(octets: bytes) -> Item:
    """Raises Malformed."""
    try:
        item = msgspec.json.decode(octets, type=Item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"its description cannot be read: {error}") from None
    return _checked(item)


def _checked(item: Item) -> Item:
    """Raises Malformed."""
    if not ID.fullmatch(item.id):
        raise Malformed("its id is not 32 hexadecimal digits")
    if not _SHA256.fullmatch(item.sha256):
        raise Malformed("its sha256 is not 64 hexadecimal digits")
    if item.size < 0:
        raise Malformed("its size is below zero")
    return fitting(item)


def fitting(item: Item) -> Item:
    """With every text within the bounds, and nothing that UTF-8 cannot hold."""
    return msgspec.structs.replace(
        item,
        name=_text(item.name),
        viruses=tuple(_texts(item.viruses, VIRUSES)),
        reasons=tuple(_texts(item.reasons, REASONS)),
        smtp_id=_text(item.smtp_id),
        part=_text(item.part),
        kind=_text(item.kind),
        fate=_text(item.fate),
        sender=_text(item.sender)[:ADDRESS_LEN],
        recipients=tuple(text[:ADDRESS_LEN] for text in _texts(item.recipients, limits.RECIPIENTS)),
        subject=_text(item.subject),
        time=_text(item.time),
        revision=_text(item.revision),
    )


def orders_of(octets: bytes) -> tuple[Order, ...]:
    """ORDERS at most; the server is not believed more than a gateway is. Raises Malformed."""
    try:
        orders = msgspec.json.decode(octets, type=Orders).orders[:ORDERS]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the orders cannot be read: {error}") from None
    for order in orders:
        if not ID.fullmatch(order.id):
            raise Malformed("the id of an order is not 32 hexadecimal digits")
        if len(order.recipients) > limits.RECIPIENTS:
            raise Malformed(f"an order has {len(order.recipients)} recipients: {limits.RECIPIENTS} are the most")
        if any(len(one) > ADDRESS_LEN for one in order.recipients):
            raise Malformed("a recipient of an order is longer than an address may be")
    return tuple(
        msgspec.structs.replace(
            order,
            item=_checked(order.item),
            recipients=tuple(map(_text, order.recipients)),
            by=_text(order.by),
            time=_text(order.time),
            note=_text(order.note),
        )
        for order in orders
    )


def result_of(octets: bytes) -> OrderResult:
    """Raises Malformed."""
    try:
        result = msgspec.json.decode(octets, type=OrderResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the result cannot be read: {error}") from None
    if result.state is OrderState.ORDERED:
        raise Malformed("a result cannot be that an order was given")
    recipients = (
        RecipientResult(_text(one.recipient)[:ADDRESS_LEN], one.delivered, _text(one.reply))
        for one in result.recipients[: limits.RECIPIENTS]
    )
    return msgspec.structs.replace(
        result,
        time=_text(result.time),
        smtp_id=_text(result.smtp_id),
        text=_text(result.text),
        recipients=tuple(recipients),
    )


def _text(text: str) -> str:
    return text[:TEXT_LEN].encode("utf-8", "replace").decode()


def _texts(texts: tuple[str, ...], most: int) -> Iterator[str]:
    return map(_text, texts[:most])
