"""TLS from the side of clients of all ages and intentions (SMTP-17), by bench/tls_probe.py and openssl."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from bench.tls_probe import Probe, probes, run
from engine.certificate import server_context
from engine.listening import MX, Kind
from engine.named_certificates import NamedCertificates, pass_over_odd_names
from tests.engine.smtp.harness import HOSTNAME, UPPER_S, running

KINDS = [pytest.param(MX, id="starttls"), pytest.param(Kind(implicit=True), id="implicit")]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """As a gateway has it, which looks at the names that clients ask for."""
    folder = tmp_path_factory.mktemp("tls")
    context = server_context(folder, HOSTNAME)
    context.sni_callback = NamedCertificates(folder).choose
    return context


@pytest.mark.parametrize("kind", KINDS)
def test_every_first_flight(
    tls: ssl.SSLContext, kind: Kind, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMTP-17: what is old, weak, broken or no TLS at all is refused, all else is served; nothing is left behind."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    pass_over_odd_names()

    async def main() -> None:
        async with running(tls=tls, kind=kind) as one:

            def probe(one_probe: Probe) -> str:
                return run(one_probe, "127.0.0.1", one.port, kind.implicit)

            for each in probes():
                answer = await asyncio.to_thread(probe, each)
                assert answer.startswith(each.wanted) and "," not in answer, (each.name, answer)
            assert not one.gate.stored
            async with asyncio.timeout(UPPER_S):
                while one.server.connections:
                    await asyncio.sleep(0.01)

    uvloop.run(main())
    assert capfd.readouterr().err == ""  # strangers write nothing into the log by what they ask for


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_renegotiates(tls: ssl.SSLContext, kind: Kind) -> None:
    """SMTP-17: handshakes in handshakes cost us more than the client."""

    async def main() -> None:
        async with running(tls=tls, kind=kind) as one:
            command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{one.port}"]
            if not kind.implicit:
                command += ["-starttls", "smtp"]
            client = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert client.stdin is not None and client.stdout is not None
            words = b""
            async with asyncio.timeout(UPPER_S):
                while b"Extended master secret" not in words:
                    words = await client.stdout.readline()
                    assert words
                client.stdin.write(b"R\n")
                while b"no renegotiation" not in words:
                    words = await client.stdout.readline()
                    assert words
                client.stdin.close()
                await client.wait()

    uvloop.run(main())


def test_the_probe_sees_what_is_wrong(tmp_path: Path) -> None:
    """A server of another age, for the probe itself."""
    old = server_context(tmp_path, HOSTNAME)
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
    old.set_ciphers("ALL:@SECLEVEL=0")
    found = {}

    async def main() -> None:
        async with running(tls=old, kind=Kind(implicit=True)) as one:
            for each in probes():
                if each.name in ("TLSv1.0", "TLSv1.1", "suites: CBC with SHA-1", "suites: anonymous"):
                    found[each.name] = await asyncio.to_thread(run, each, "127.0.0.1", one.port, True)

    uvloop.run(main())
    assert found["TLSv1.0"].startswith("TLSv1.0 ") and found["TLSv1.1"].startswith("TLSv1.1 ")
    assert found["suites: CBC with SHA-1"] == "TLSv1.2 C00A" and found["suites: anonymous"].startswith("TLSv1.2 ")
