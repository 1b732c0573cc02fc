"""`mailward quarantine`: the central quarantine server, a program installed apart from the gateways (QRN-03)."""

import logging
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from control import accounts
from control.access import AccessDatabase
from control.actor import Role
from control.cli.init import first_password
from control.cli.options import HOST_PORT
from control.quarantine_server import authority, vault
from control.quarantine_server import settings as server_settings
from control.quarantine_server.layout import ServerLayout
from control.sessions import Sessions
from engine import definitions as engine_definitions
from engine import durable
from engine.config import ConfigError, Listener
from engine.smtp.address import BadAddress
from signatures.compile import compile_sources, starter

ROLES = {"look": Role.REPORT_ONLY, "release": Role.ADMINISTRATOR}
T = TypeVar("T")

root_option = click.option(
    "--root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the quarantine server, made by `mailward quarantine init`.",
)


@click.group()
def quarantine() -> None:
    """Run the central quarantine server, where gateways put infected files aside."""


@quarantine.command()
@root_option
@click.option("--name", "names", multiple=True, required=True, help="Name or address by which gateways reach it.")
@click.option("--gateways", type=HOST_PORT, default=server_settings.Gateways().listen, show_default="0.0.0.0:8453")
@click.option("--pages", type=HOST_PORT, default=server_settings.Web().listen, show_default="0.0.0.0:8454")
@click.option(
    "--admin-password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="First line is the password of `admin`; without it one is made and shown once.",
)
def init(
    root: Path, names: tuple[str, ...], gateways: Listener, pages: Listener, admin_password_file: Path | None
) -> None:
    """Make a new server: settings, directories, keys, certificates, definitions, the account admin."""
    layout = ServerLayout(root.absolute())
    if root.exists() and any(root.iterdir()):
        raise click.ClickException(f"{root} is not empty: choose a directory that only the quarantine server uses")
    settings = server_settings.Settings(
        gateways=server_settings.Gateways(listen=gateways, names=names),
        web=server_settings.Web(listen=pages, names=tuple(name for name in names if not _is_address(name))),
    )
    password, shown = first_password(admin_password_file)
    made = not root.exists()
    try:
        layout.make()
        server_settings.save(settings, layout.config)
        authority.make(layout, (*names, "localhost", "127.0.0.1"))
        vault.make_key(layout)
        layout.definitions_file.write_bytes(compile_sources(starter()))
        accounts.set_password(layout.root, accounts.ADMIN, password)
    except (ConfigError, ValueError, OSError) as error:
        if made:
            shutil.rmtree(layout.root, ignore_errors=True)
        raise click.ClickException(f"{error}: nothing was made") from None
    click.echo(f"wrote {layout.config}")
    if shown:
        click.echo(f"password of admin, shown only now: {password}")
    click.echo(f"keep a copy of {layout.key} apart from the others: without it nothing in the quarantine can be read")
    click.echo(f"next: mailward quarantine enroll NAME --root {root}, then mailward quarantine serve --root {root}")


@quarantine.command()
@root_option
def serve(root: Path) -> None:
    """Run the server in the foreground; SIGTERM stops it. Prints `ready gateways=... pages=...` when both accept."""
    from control.quarantine_server import serve as program  # the other commands do without uvicorn and uvloop
    from control.quarantine_server.context import InUse

    logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s", stream=sys.stderr)
    layout = _existing(root)
    try:
        program.run(layout.root)
    except (InUse, ConfigError, OSError, ValueError, sqlite3.Error) as error:
        raise click.ClickException(str(error)) from None


@quarantine.command()
@root_option
@click.argument("name")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; NAME.pem without it.")
def enroll(root: Path, name: str, output: Path | None) -> None:
    """Make the file with which the gateway NAME may send: its key, its certificate and whom it trusts."""
    layout = _existing(root)
    target = output or Path(f"{name}.pem")
    if target.exists():
        raise click.ClickException(f"{target} exists already: move it away, or choose another --output")
    octets = _tried(lambda: authority.enroll(layout, name))
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(octets)
    except OSError as error:
        authority.withdraw(layout, name)
        raise click.ClickException(f"{target}: {error.strerror}") from None
    _give_to_service(layout)
    click.echo(f"wrote {target}: bring it to the gateway, as tls/quarantine.pem under its root, and delete it here")


@quarantine.command()
@root_option
@click.argument("name")
def withdraw(root: Path, name: str) -> None:
    """Take a gateway off: it is refused from its next request on. What it sent stays."""
    layout = _existing(root)
    _tried(lambda: authority.withdraw(layout, name))
    click.echo(f"{name} is refused from now on")


@quarantine.command()
@root_option
def gateways(root: Path) -> None:
    """List the gateways that are enrolled."""
    for name in authority.enrolled(_existing(root)):
        click.echo(name)


@quarantine.command()
@root_option
@click.option("--name", "names", multiple=True, required=True, help="Name or address by which gateways reach it.")
def certificate(root: Path, names: tuple[str, ...]) -> None:
    """Certify the server under other names, for its next start. Gateways need nothing new."""
    layout = _existing(root)
    _tried(lambda: authority.certify_server(layout, (*names, "localhost", "127.0.0.1")))
    _give_to_service(layout)
    click.echo(f"the certificate is for {', '.join(names)}: restart the server to use it")


@quarantine.command()
@root_option
@click.argument("user")
@click.option("--may", type=click.Choice(sorted(ROLES)), required=True, help="See everything, or act as well.")
@click.password_option(help="Asked for twice when not given.")
def account(root: Path, user: str, may: str, password: str) -> None:
    """Make an account for the pages, or give one another password and other rights."""
    layout = _existing(root)

    def make(known: accounts.Accounts) -> None:
        if known.find(user) is None:
            known.make(user, ROLES[may], password)
            return
        known.set_password(user, password)
        found = known.find(user)
        assert found is not None
        known.change(found, role=ROLES[may], enabled=True)

    _with_accounts(layout, make)
    click.echo(f"{user} may {'see everything' if may == 'look' else 'see everything, release and delete'}")


@quarantine.command("remove-account")
@root_option
@click.argument("user")
def remove_account(root: Path, user: str) -> None:
    """Remove an account; its sessions end."""
    _with_accounts(_existing(root), lambda known: known.remove(user))
    click.echo(f"the account {user} is removed")


@quarantine.command("definitions")
@root_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put_definitions(root: Path, file: Path) -> None:
    """Scan with this compiled file from now on: all that lies in the quarantine is scanned again."""
    layout = _existing(root)
    try:
        with durable.replacing(layout.definitions_file, 0o600) as new:
            shutil.copyfile(file, new)
            try:
                loaded = engine_definitions.from_file(new)
            except engine_definitions.DefinitionsRefused as error:
                raise click.ClickException(str(error).replace(str(new), str(file))) from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
    _give_to_service(layout)
    click.echo(f"revision {loaded.revision} with {loaded.signatures} signatures: the server takes it within seconds")


def _existing(root: Path) -> ServerLayout:
    layout = ServerLayout(root.absolute())
    if not layout.config.exists():
        raise click.ClickException(f"{root} is no quarantine server: make one with `mailward quarantine init`")
    return layout


def _tried(run: Callable[[], T]) -> T:
    try:
        return run()
    except (authority.EnrolmentError, BadAddress, OSError) as error:
        raise click.ClickException(str(error)) from None


def _with_accounts(layout: ServerLayout, run: Callable[[accounts.Accounts], object]) -> None:
    database = AccessDatabase(layout.root)
    try:
        sessions = Sessions(database, lambda: 0.0, lambda: 0.0)
        run(accounts.Accounts(database, accounts.Passwords(), sessions))
    except accounts.AccountError as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()
    _give_to_service(layout)


def _is_address(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return True


def _give_to_service(layout: ServerLayout) -> None:
    """Files that root made here belong to whom the server belongs, or it could not open them."""
    if os.geteuid() == 0:
        owner = layout.root.stat()
        for directory in (layout.control, layout.enrolled, layout.tls, layout.definitions):
            for path in directory.iterdir():
                os.chown(path, owner.st_uid, owner.st_gid)
