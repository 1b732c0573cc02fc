"""`mailward init`: a new installation in one directory."""

import os
import secrets
import shutil
import socket
from pathlib import Path

import click

from control import accounts
from control.cli.options import HOST_PORT, need_short, root_option
from engine import config, privileges
from engine.config import ConfigError, Listener, MailListener, Relay, Route, Routing, Settings
from engine.delivery.route import Router
from engine.layout import Layout
from engine.portuse import user_of_port
from signatures.compile import compile_sources, starter


class RouteOption(click.ParamType[Route]):
    name = "DOMAIN=HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Route:
        if isinstance(value, Route):
            return value
        name, separator, target = str(value).partition("=")
        if not separator or not name:
            self.fail(f"{value!r} is not DOMAIN=HOST:PORT, for example example.com=10.0.0.5:25", param, ctx)
        hop = HOST_PORT.convert(target, param, ctx)
        return Route(name, hop.host, hop.port)


@click.command()
@root_option
@click.option("--smtp", type=HOST_PORT, default=Listener("0.0.0.0", 25), show_default="0.0.0.0:25")
@click.option("--http", type=HOST_PORT, default=Listener("0.0.0.0", 8003), show_default="0.0.0.0:8003")
@click.option("--https", type=HOST_PORT, default=Listener("0.0.0.0", 8043), show_default="0.0.0.0:8043")
@click.option("--route", "routes", type=RouteOption(), multiple=True, help="A domain you serve and its mail host.")
@click.option("--default-route", type=HOST_PORT, help="Where all other mail goes; without it, by MX.")
@click.option("--relay-from", "relay_from", metavar="NET", multiple=True, help="Who may send out: address or network.")
@click.option(
    "--admin-password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="First line is the password of `admin`; without it one is made and shown once.",
)
def init(
    root: Path,
    smtp: Listener,
    http: Listener,
    https: Listener,
    routes: tuple[Route, ...],
    default_route: Listener | None,
    relay_from: tuple[str, ...],
    admin_password_file: Path | None,
) -> None:
    """Make a new installation: the configuration, the directories, the definitions, the admin account."""
    layout = Layout(root.absolute())
    need_short(layout)
    if layout.config.exists():
        raise click.ClickException(f"{layout.config} exists already: edit it, or choose another directory")
    strange = _strange(layout)
    if strange:
        raise click.ClickException(
            f"{layout.root} is in use for something else ({strange}): choose a directory that only Mailward uses"
        )
    settings = Settings(
        smtp=config.Smtp(
            listen=MailListener(smtp.host, smtp.port), hostname=name if "." in (name := socket.getfqdn()) else ""
        ),
        web=config.Web(http=config.PlainPages(http.host, http.port), https=config.Pages(https.host, https.port)),
        routing=Routing(
            default_host=default_route.host if default_route else "",
            default_port=default_route.port if default_route else 25,
            local=routes,
        ),
        relay=Relay(hosts=relay_from),
        processes=config.Processes(user=_service_user()),
    )
    for name, listener in (("smtp", smtp), ("http", http), ("https", https)):
        try:
            holder = user_of_port(listener)
        except OSError as error:
            raise click.ClickException(
                f"--{name} {listener}: {error.strerror}: name an address of this machine"
            ) from None
        if holder:
            raise click.ClickException(f"--{name} {listener} is in use by {holder}: stop it or choose another port")
    loops = Router(settings.routing, [smtp], settings.smtp.hostname).problems()
    if loops:
        raise click.ClickException("\n".join(loops))
    password, shown = first_password(admin_password_file)
    try:
        layout.make()
        config.save(settings, layout.config)
        accounts.set_password(layout.root, "admin", password)
        (layout.definitions / "starter.mwd").write_bytes(compile_sources(starter()))
    except (ConfigError, ValueError) as error:
        _undo(layout)
        raise click.ClickException(str(error)) from None
    except OSError as error:
        _undo(layout)
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"wrote {layout.config}")
    if shown:
        click.echo(f"password of admin, shown only now: {password}")
    if not routes and default_route is None:
        click.echo("note: no --route and no --default-route: all mail will be delivered by MX (RTE-02)")
    click.echo(f"next: mailward serve --root {root}")


def _service_user() -> str:
    """The account of the service: mailward where the package made it, else the machine's nobody."""
    wanted = config.Processes().user
    if os.geteuid() != 0:
        return wanted
    try:
        privileges.account(wanted)
    except privileges.CannotDrop:
        return "nobody"
    return wanted


def first_password(file: Path | None) -> tuple[str, bool]:
    """Of admin, and whether it has to be shown."""
    if file is None:
        return secrets.token_urlsafe(12), True
    lines = file.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise click.ClickException(f"{file} is empty: its first line must be the password")
    return lines[0], False


def _strange(layout: Layout) -> str:
    """Something in the directory that is not of an installation: the service will own what it finds there."""
    ours = {"lost+found"} | {path.relative_to(layout.root).parts[0] for path in layout.directories}
    try:
        return next((path.name for path in layout.root.iterdir() if path.name not in ours), "")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise click.ClickException(f"{layout.root}: {error.strerror}") from None


def _undo(layout: Layout) -> None:
    """A refused installation leaves nothing that the next try would stumble over."""
    layout.config.unlink(missing_ok=True)
    shutil.rmtree(layout.control, ignore_errors=True)
