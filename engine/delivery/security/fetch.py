"""Fetching the policy of a domain for MTA-STS (RFC 8461 s3.3): one GET over HTTPS, bounded in octets and time.

No redirects, no proxies, no cookies, no compression; the certificate has to be good for `mta-sts.` and the domain.
"""

import asyncio
import ssl
from typing import Final

from engine.delivery.security.policy import POLICY_LEN
from engine.dns import DnsFailure, Resolver

PATH: Final = "/.well-known/mta-sts.txt"
HEADER_LEN: Final = 16 * 1024  # octets
ADDRESSES: Final = 4  # that are tried
ANSWER_LEN: Final = 4 * POLICY_LEN  # octets with all that is around a policy: chunks, interim answers
_PIECE_LEN: Final = 4096  # octets that are looked at without a turn for others


class FetchError(Exception):
    """There is no policy to be had. Its text says why. untrusted: it was the certificate."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted


async def fetch(resolver: Resolver, domain: str, context: ssl.SSLContext, port: int = 443) -> bytes:
    """The body of the answer. Raises FetchError; how long it may take is the caller's to say."""
    host = f"mta-sts.{domain}"
    try:
        addresses = await resolver.addresses(host)
    except DnsFailure as error:
        raise FetchError(f"{host} has no address: {error.reply.text}") from None
    failure = FetchError(f"{host} does not answer")
    for address in addresses[:ADDRESSES]:
        try:
            reader, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host, limit=HEADER_LEN
            )
        except ssl.SSLCertVerificationError as error:
            text = f"the certificate of {host} is not good for it: {error.verify_message}"
            failure = FetchError(text, untrusted=True)
        except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot carry
            failure = FetchError(f"connecting to {host} at {address} failed: {error}")
        else:
            try:
                return await _get(reader, writer, host)
            except OSError as error:
                failure = FetchError(f"{host} broke off: {error}")
            finally:
                writer.transport.abort()
    raise failure


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> bytes:
    import h11

    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_LEN)
    headers = [("Host", host), ("Accept", "text/plain"), ("User-Agent", "Mailward"), ("Connection", "close")]
    writer.write(connection.send(h11.Request(method="GET", target=PATH, headers=headers)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    body = bytearray()
    total = 0
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                piece = await reader.read(_PIECE_LEN)
                total += len(piece)
                if total > ANSWER_LEN:
                    raise FetchError(f"{host} sends more than {ANSWER_LEN} octets")
                connection.receive_data(piece)
            elif isinstance(event, h11.Response):
                _check(event.status_code, dict(event.headers), host)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > POLICY_LEN:
                    raise FetchError(f"{host} sends more than {POLICY_LEN} octets")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            elif not isinstance(event, h11.InformationalResponse):
                raise FetchError(f"{host} broke off")
    except h11.RemoteProtocolError as error:
        raise FetchError(f"{host} does not speak HTTP: {error}") from None


def _check(status: int, headers: dict[bytes, bytes], host: str) -> None:
    if status != 200:  # RFC 8461 s3.3: also redirects are a failure
        raise FetchError(f"{host} answers {status} to GET {PATH}")
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind != "text/plain":
        raise FetchError(f"{host} calls its policy {kind or 'nothing'} instead of text/plain")
