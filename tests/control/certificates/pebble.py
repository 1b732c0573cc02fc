"""pebble, the ACME server for tests that Let's Encrypt has made, on loopback with a name server of its own."""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.ports import free_port
from control.certificates.challenges import Challenges
from engine.certificate import self_signed
from engine.config import Acme
from tests.control.harness import wait_until
from tests.dns_server import dnsmasq


@dataclass
class Pebble:
    """directory: its URL. authorities: who vouches for it. http_port: where it looks for answers to challenges."""

    directory: str
    authorities: Path
    http_port: int
    log: Path

    def settings(self, *names: str) -> Acme:
        return Acme(
            enabled=True,
            directory=self.directory,
            email="postmaster@example.com",
            names=names,
            terms_agreed=True,
            authorities=str(self.authorities),
        )


@contextlib.contextmanager
def pebble(folder: Path, http_port: int) -> Iterator[Pebble]:
    """One that knows every name as 127.0.0.1."""
    port, management = free_port(), free_port()
    pem = folder / "pebble.pem"
    pem.write_bytes(self_signed(["127.0.0.1"]))
    listens = {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}"}
    of_it = {"certificate": str(pem), "privateKey": str(pem), "httpPort": http_port, "tlsPort": free_port()}
    (folder / "pebble.json").write_text(json.dumps({"pebble": listens | of_it}))
    environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    log = folder / "pebble.log"
    with dnsmasq(folder, ["address=/example.com/127.0.0.1"]) as names, log.open("wb") as said:
        command = ["pebble", "-config", "pebble.json", "-dnsserver", f"127.0.0.1:{names.port}"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        try:
            wait_until(lambda: b"ACME directory available" in log.read_bytes(), "pebble is up")
            yield Pebble(f"https://127.0.0.1:{port}/dir", pem, http_port, log)
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def plain_port(challenges: Challenges) -> Iterator[int]:
    """Answers challenges as the plain port of the pages does, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = challenges.answer(self.path)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write((answer or "").encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
