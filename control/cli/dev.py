"""`mailward dev`: a whole gateway with a mailbox behind it on one machine, to try things out. Not for production."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from control import samples
from control.samples import Outcome
from engine import config, definitions
from engine.config import Listener
from engine.scan.facts import Verdict
from engine.scan.offline import examine
from signatures.compile import compile_sources, starter

SMTP, SINK = Listener("127.0.0.1", 2525), Listener("127.0.0.1", 2526)
HTTP, HTTPS = Listener("127.0.0.1", 8003), Listener("127.0.0.1", 8043)
SIZE_LIMIT_MB = 10
START_S, THROUGH_S = 60.0, 60.0


@click.group()
def dev() -> None:
    """Try Mailward out: gateway, mailbox and pages on this machine only."""


root_option = click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path("var"))


@dev.command()
@root_option
def run(root: Path) -> None:
    """Start gateway (2525), mailbox (2526) and pages (8003, 8043) and keep them until Ctrl-C."""
    password = prepare(root)
    with serving(root) as process:
        click.echo(f"pages     https://{HTTPS}/  (the browser warns: the certificate is our own)")
        if password:
            click.echo(f"logon     admin, password {password}  (shown only now)")
        else:
            click.echo(f"logon     admin, password as shown at the first start; lost? remove {root} and start anew")
        click.echo(f"mail in   smtp://{SMTP}   mail out: files in {root / 'sink'}")
        click.echo(f"next      {_command()} send-samples --to {SMTP}")
        process.wait()


@dev.command()
@root_option
def demo(root: Path) -> None:
    """The same from scratch, send the samples, show what happened to each; exit status 1 if anything differs."""
    shutil.rmtree(root, ignore_errors=True)
    prepare(root)
    with serving(root):
        sent = list(samples.send(SMTP, "postmaster@example.com"))
        rows = [(one, _seen(one, root / "sink")) for one in sent]
    table = Table("sample", "expected", "seen", "", box=None)
    for one, seen in rows:
        right = seen is one.sample.expected
        table.add_row(one.sample.name, one.sample.expected, seen, "as expected" if right else "DIFFERS")
    Console().print(table)
    if any(seen is not one.sample.expected for one, seen in rows):
        sys.exit(1)


def _command() -> str:
    path = Path(sys.argv[0])
    return os.path.relpath(path) if path.exists() else "mailward"


def prepare(root: Path) -> str:
    """Make the installation if there is none. Returns the password of admin if it is new."""
    gateway = root / "gateway"
    if (gateway / config.FILE_NAME).exists():
        return ""
    root.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(12)
    secret = root / "password"
    secret.write_text(password + "\n")
    arguments = [f"--smtp={SMTP}", f"--http={HTTP}", f"--https={HTTPS}", f"--route=example.com={SINK}"]
    arguments += ["--relay-from=127.0.0.0/8", f"--admin-password-file={secret}"]
    made = subprocess.run([*_mailward(), "init", f"--root={gateway}", *arguments], capture_output=True, text=True)
    secret.unlink()
    if made.returncode:
        raise click.ClickException(made.stderr.strip().removeprefix("Error: "))
    path = gateway / config.FILE_NAME
    settings = config.load(path)
    blocking = config.Blocking(size=config.Size(enabled=True, max_mb=SIZE_LIMIT_MB))
    quarantine = config.Quarantine(what=config.QuarantinedFiles.ALL)
    config.save(msgspec.structs.replace(settings, blocking=blocking, quarantine=quarantine), path)
    return password


def _mailward() -> list[str]:
    return [sys.executable, "-m", "control.cli"]


@contextmanager
def serving(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Gateway and mailbox, up on entry, down on exit. Yields the gateway's process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that exit comes here, whoever stops us
    sink = subprocess.Popen(
        [*_mailward(), "sink", f"--listen={SINK}", f"--dir={root / 'sink'}"], stdout=subprocess.PIPE, text=True
    )
    gateway = subprocess.Popen([*_mailward(), "serve", f"--root={root / 'gateway'}"], stdout=subprocess.PIPE, text=True)
    try:
        for process in (sink, gateway):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise click.ClickException("the gateway did not start: see above")
            click.echo(line.strip())
        yield gateway
    except KeyboardInterrupt:
        click.echo("stopping")
    finally:
        for process in (gateway, sink):
            process.send_signal(signal.SIGTERM)
        for process in (gateway, sink):
            process.wait()


def _seen(sent: samples.Sent, sink: Path) -> Outcome:
    """What became of a sample: its reply, or the file in the mailbox."""
    if not sent.accepted:
        return Outcome.REFUSED
    deadline = time.monotonic() + THROUGH_S
    while time.monotonic() < deadline:
        for path in sink.glob("[!.]*.eml"):
            content = path.read_bytes()
            if f"{samples.MARK}: {sent.sample.name}\r\n".encode() in content.split(b"\r\n\r\n", 1)[0] + b"\r\n":
                return _judge(sent.sample, content)
        time.sleep(0.05)
    return Outcome.MISSING


def _judge(sample: samples.Sample, content: bytes) -> Outcome:
    if without_received(content) == sample.content:
        return Outcome.UNCHANGED
    image = definitions.from_bytes(compile_sources(starter()))
    if examine(content, "sample.eml", image).verdict is Verdict.CLEAN:
        words = [
            part.get_content()
            for part in BytesParser(policy=default).parsebytes(content).iter_attachments()
            if part.get_content_maintype() == "text"
        ]
        kept = sample.kept and any(sample.kept in one for one in words)
        return Outcome.REPAIRED if kept else Outcome.CLEANED
    return Outcome.MISSING


def without_received(content: bytes) -> bytes:
    """The message without its first header field, which is the gateway's Received."""
    lines = content.split(b"\r\n")
    if not lines[0].lower().startswith(b"received:"):
        return content
    last = 1
    while lines[last][:1] in (b" ", b"\t"):
        last += 1
    return b"\r\n".join(lines[last:])
