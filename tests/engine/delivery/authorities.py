"""For tests of DANE and MTA-STS: certificates, contexts of servers, TLSA records, and a server of policies."""

import asyncio
import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.engine.smtp.certificates import Signer, certificate

POLICY = "version: STSv1\r\nmode: {mode}\r\n{mx}max_age: {max_age}\r\n"


def policy(*mx: str, mode: str = "enforce", max_age: int = 86_400) -> bytes:
    return POLICY.format(mode=mode, mx="".join(f"mx: {one}\r\n" for one in mx), max_age=max_age).encode()


def served(folder: Path, name: str, signer: Signer | None = None) -> tuple[ssl.SSLContext, x509.Certificate]:
    """A server's context with a certificate for a name, and that certificate. With the authority behind it, if any."""
    made, _ = certificate(folder, name, signer, ExtendedKeyUsageOID.SERVER_AUTH)
    path = folder / f"{name}.pem"
    if signer is not None:  # servers send it along, which DANE-TA needs (RFC 7672 s3.1.2)
        path.write_bytes(path.read_bytes() + signer[0].public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, made


def tlsa(made: x509.Certificate, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """The record of a certificate, as zone files have it."""
    octets = made.public_bytes(Encoding.DER)
    if selector == 1:
        octets = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if matching:
        octets = hashlib.new("sha256" if matching == 1 else "sha512", octets).digest()
    return f"{usage} {selector} {matching} {octets.hex()}"


class PolicyServer:
    """Answers every GET with `status`, `kind` and `body`; silent: with nothing."""

    def __init__(self, body: bytes = b"", status: str = "200 OK", kind: str = "text/plain") -> None:
        self.body = body
        self.status = status
        self.kind = kind
        self.silent = False
        self.asked: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, context: ssl.SSLContext) -> "PolicyServer":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            if self.silent:
                await reader.read()
                return
            answer = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.kind}\r\nLocation: /elsewhere\r\n"
            writer.write(f"{answer}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the other side has seen enough
        finally:
            writer.transport.abort() if self.silent else writer.close()
