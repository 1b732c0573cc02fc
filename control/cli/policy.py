"""`mailward policy`: what the policy would do to messages at hand, and what another would have done to past mail."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from control.cli.config import file_type, in_force
from control.cli.files import files, shown
from control.cli.options import root_option
from control.rehearsal.compare import LAST, Count, Rehearsal, rehearse
from control.rehearsal.trial import Rule, Trial, Verdict, as_received
from engine import config, definitions, limits
from engine.config import ConfigError, Settings
from engine.config.entries import address_error
from engine.layout import Layout
from engine.policy.evidence import Envelope
from engine.policy.metatags import clean
from engine.relay_rule import plain_address

PASSED, CHANGED, ERROR = 0, 1, 2
_CUT = 200  # characters of a sender's words on the screen
_PAST = {
    "refuse": "refused",
    "drop": "dropped",
    "forward": "forwarded",
    "hold": "held",
    "bounce": "returned",
    "deliver": "delivered",
}
_UNCHANGED = _PAST["deliver"]
settings_option = click.option(
    "--settings", "settings_file", type=file_type, help="Settings to use instead of those in force."
)


@click.group()
def policy() -> None:
    """The policy: test it on messages, rehearse a change of it."""


# --- test ---------------------------------------------------------------------------------------------


@policy.command()
@root_option
@click.option("--as-from", "client", metavar="IP", default="", help="The connecting host; with it DNS is asked.")
@click.option("--mail-from", "reverse_path", metavar="ADDR", default="", help="Default: the address in From.")
@click.option("--rcpt", "forward_paths", metavar="ADDR", multiple=True, help="A recipient; may be given repeatedly.")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def test(
    root: Path,
    client: str,
    reverse_path: str,
    forward_paths: tuple[str, ...],
    settings_file: Path | None,
    as_json: bool,
    paths: tuple[Path, ...],
) -> None:
    """Tell what would happen to each message, and why, rule by rule. Nothing is queued or sent.

    Exit status: 0 all would be delivered as they are, 1 something would not, 2 an error.
    """
    envelope = _envelope(client, reverse_path, forward_paths)
    settings = _settings(root, settings_file)
    try:
        image = definitions.from_file(root / settings.antivirus.definitions)
    except definitions.DefinitionsRefused as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(ERROR)
    trial = Trial(settings, image, dns=bool(client))
    sys.exit(asyncio.run(_test(trial, envelope, paths, as_json)))


def _envelope(client: str, reverse_path: str, forward_paths: tuple[str, ...]) -> Envelope:
    if client:
        try:
            client = str(plain_address(client))
        except ValueError:
            raise click.BadParameter(f"{client!r} is not an IP address", param_hint="--as-from") from None
    for option, address in (("--mail-from", reverse_path), *(("--rcpt", one) for one in forward_paths)):
        if address and address != "<>" and (error := address_error(address)):
            raise click.BadParameter(f"{address!r} {error}", param_hint=option)
    return Envelope(client=client, reverse_path=reverse_path, forward_paths=forward_paths)


def _settings(root: Path, file: Path | None) -> Settings:
    if file is None:
        return in_force(root)
    try:
        return config.load(file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(ERROR)


async def _test(trial: Trial, envelope: Envelope, paths: tuple[Path, ...], as_json: bool) -> int:
    statuses = {PASSED}
    ends: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        click.echo(f"{shown(Path(error.filename))}: {error.strerror}", err=True)
        statuses.add(ERROR)

    found = [file for path in paths for file in files(path, unreadable)]
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=len(found) < 2 or not console.is_terminal) as progress:
        for file in progress.track(found, description="messages"):
            try:
                data = _read(file)
            except OSError as error:
                click.echo(f"{shown(file)}: {error.strerror or error}", err=True)
                statuses.add(ERROR)
                continue
            verdict = await trial.judge(as_received(data), envelope)
            if as_json:
                click.echo(msgspec.json.encode({"path": shown(file), **msgspec.to_builtins(verdict)}))
            else:
                _print(shown(file), verdict)
            ends[_end(verdict)] += 1
            statuses.add(PASSED if _end(verdict) == _UNCHANGED else CHANGED)
    if ends.total() > 1 and not as_json:
        click.echo(f"{ends.total()} messages: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    return max(statuses)


def _end(verdict: Verdict) -> str:
    end = _PAST[verdict.disposition]
    if verdict.deleted:
        return f"stripped and {end}"
    return f"repaired and {end}" if verdict.repaired else end


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(limits.HARD_MESSAGE_LEN + 1)
    if len(data) > limits.HARD_MESSAGE_LEN:
        raise OSError(f"larger than {limits.HARD_MESSAGE_LEN >> 20} MiB")
    if not data:
        raise OSError("is empty")
    return data


def _print(path: str, verdict: Verdict) -> None:
    envelope, header = verdict.evidence.envelope, verdict.evidence.header
    click.echo(f"{path}: {_end(verdict)}" + (f": {clean(verdict.reason, 5 * _CUT)}" if verdict.reason else ""))
    to = ", ".join(envelope.forward_paths) or "nobody named"
    click.echo(
        f"  from {_words(envelope.reverse_path) or '<>'} to {to}, {envelope.size} octets: {_words(header.subject)}"
    )
    for rule in verdict.rules:
        for line in _rule_lines(rule):
            click.echo(f"  {line}")
    scan = verdict.scan or "not looked at: blocking comes first"
    names = ", ".join(f"{name} in {part or 'message'}" for name, part in verdict.infections)
    click.echo(f"  {'virus scan':<16}{scan}" + (f": {_words(names)}" if names else ""))
    for label, lines in (
        ("not examined", verdict.unscanned),
        ("repaired", [f"{part or 'message'}: {what}" for part, what in verdict.repaired]),
        ("deleted", [f"{part or 'message'}: {why}" for part, why in verdict.deleted]),
        ("forwarded to", verdict.forwards),
        ("told", [f"{one.audience} ({one.kind}): {', '.join(one.to) or 'nobody is named'}" for one in verdict.told]),
    ):
        for line in lines:
            click.echo(f"  {label:<16}{_words(line)}")


def _rule_lines(rule: Rule) -> Iterator[str]:
    if not rule.matches:
        yield f"{rule.criterion:<16}{rule.state}" + (f": {_words(rule.note)}" if rule.note else "")
    for match in rule.matches:
        entry = f'"{_words(match.entry)}" ' if match.entry else ""
        yield f"{rule.criterion:<16}{match.action}: {entry}{_words(match.value)}"


def _words(text: str) -> str:
    """A sender's words, fit for a terminal."""
    return clean(text, _CUT)


# --- rehearse -----------------------------------------------------------------------------------------


@policy.command("rehearse")
@root_option
@settings_option
@click.option("--last", type=click.IntRange(1), default=LAST, show_default=True, help="Messages to look back on.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rehearse_(root: Path, settings_file: Path | None, last: int, as_json: bool) -> None:
    """Tell which of the last messages changed settings would have treated otherwise, before they are saved.

    Without --settings: what the settings in force find in these messages. Mail that was refused during SMTP left
    nothing to judge by. Exit status: 0 no message would have been treated otherwise, 1 some would, 2 an error.
    """
    before = in_force(root)
    after = _settings(root, settings_file) if settings_file else before
    try:
        told = rehearse(Layout(root).journal, before, after, last)
    except OSError as error:
        click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
        sys.exit(ERROR)
    if as_json:
        click.echo(msgspec.json.encode(told))
    else:
        _report(told)
    sys.exit(CHANGED if told.changed else PASSED)


def _report(told: Rehearsal) -> None:
    if not told.messages:
        click.echo("the journal knows of no message yet")
        return
    messages = "1 message" if told.messages == 1 else f"{told.messages} messages"
    click.echo(f"{messages} from {told.since} to {told.until}: {told.changed} would be treated otherwise")
    for one in told.changes:
        to = one.forward_paths[0] + (f" +{len(one.forward_paths) - 1}" if len(one.forward_paths) > 1 else "")
        sender = _words(one.reverse_path) or "<>"
        click.echo(f"{one.smtp_id} from {sender} to {_words(to)}: {_words(one.subject)}")
        click.echo(f"  {one.before} -> {one.after}: {_words(one.why)}")
    if told.changed > len(told.changes):
        click.echo(f"and {told.changed - len(told.changes)} more")
    _print_counts("what becomes of them", told.fates)
    _print_counts("found by", told.criteria)
    for gap in told.not_judged:
        click.echo(f"not judged: {gap.setting}: {gap.why}")
    click.echo("mail that was refused during SMTP is not known here")


def _print_counts(title: str, counts: list[Count]) -> None:
    if counts:
        click.echo(f"{title:<22}{'before':>8}{'after':>8}")
    for one in counts:
        click.echo(f"  {one.criterion:<20}{one.before:>8}{one.after:>8}")
