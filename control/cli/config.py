"""`mailward config`: check settings, see what is in force and what differs, explain and change single ones."""

import difflib
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from control.cli.options import root_option
from control.history.keeper import Author, Keeper
from control.reference import page
from engine import config as engine_config
from engine import privileges
from engine.config import ConfigError, Settings, fields
from engine.config.fields import Setting
from engine.config.file import literal
from engine.layout import Layout

SAME, DIFFERENT, ERROR = 0, 1, 2
file_type = click.Path(exists=True, dir_okay=False, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group()
def config() -> None:
    """The settings: check, show, diff, explain, set, reference."""


@config.command()
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="Directory of the installation.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(root: Path | None, file: Path | None) -> None:
    """Every mistake of FILE, or of the settings of --root, with its line and what to write instead.

    Exit status: 0 good, 1 there are mistakes. Lines that begin with `note:` are no mistakes.
    """
    path = file or (Layout(root).config if root else None)
    if path is None:
        raise click.UsageError("name a FILE, or an installation with --root")
    try:
        settings = engine_config.load(path)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem.at(error.place), err=True)
        count = len(error.problems)
        click.echo(
            f"{count} mistake{'' if count == 1 else 's'}: the file is not taken before they are mended", err=True
        )
        sys.exit(1)
    for remark in engine_config.remarks(settings):
        click.echo(f"note: {remark}")
    click.echo(f"{path} is good")


@config.command()
@root_option
@click.argument("section", default="")
@json_option
@click.option("--all", "everything", is_flag=True, help="Also what is as by default.")
def show(root: Path, section: str, as_json: bool, everything: bool) -> None:
    """What is in force: settings that differ from the defaults, or all of SECTION with a * at those that differ."""
    settings = in_force(root)
    values, defaults = fields.flat(settings), fields.flat(Settings())
    if section:
        if fields.find(section) is None:
            raise click.ClickException(unknown(section))
        values = {name: value for name, value in values.items() if _is_in(name, section)}
    differs = {name: _default(name, defaults) != value for name, value in values.items()}
    if as_json:
        rows = {name: _row(name, value, defaults, differs[name]) for name, value in values.items()}
        click.echo(msgspec.json.encode(rows))
        return
    shown = [name for name in values if everything or section or differs[name]]
    if not shown:
        click.echo("everything is as by default: see --all")
        return
    width = max(map(len, shown))
    for name in shown:
        click.echo(f"{'*' if differs[name] else ' '} {name:<{width}}  {literal(values[name])}")


def _is_in(name: str, section: str) -> bool:
    return name == section or name.startswith((f"{section}.", f"{section}["))


def _default(name: str, defaults: Mapping[str, Any]) -> Any:
    if name in defaults:
        return defaults[name]
    setting = fields.find(name)
    return setting.default if setting else None


def _row(name: str, value: Any, defaults: Mapping[str, Any], differs: bool) -> dict[str, Any]:
    default = _default(name, defaults)
    return {"value": value, "default": None if default is msgspec.UNSET else default, "differs": differs}


@config.command()
@click.argument("files", nargs=-1, required=True, metavar="[OLD] NEW", type=file_type)
@json_option
def diff(files: tuple[Path, ...], as_json: bool) -> None:
    """What NEW says otherwise than OLD, or than the defaults. Exit status: 0 the same, 1 different, 2 an error."""
    if len(files) > 2:
        raise click.UsageError("name one or two files")
    try:
        before = engine_config.load(files[0]) if len(files) == 2 else Settings()
        after = engine_config.load(files[-1])
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(ERROR)
    old, new = fields.flat(before), fields.flat(after)
    changed = [name for name in {**old, **new} if old.get(name, ...) != new.get(name, ...)]
    if as_json:
        click.echo(msgspec.json.encode({name: {"old": old.get(name), "new": new.get(name)} for name in changed}))
    for name in () if as_json else changed:
        if name in old:
            click.echo(f"- {name} = {literal(old[name])}")
        if name in new:
            click.echo(f"+ {name} = {literal(new[name])}")
    sys.exit(DIFFERENT if changed else SAME)


@config.command()
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="Also show the value that is in force.")
@click.argument("key")
def explain(root: Path | None, key: str) -> None:
    """What a setting is: purpose, type, default, values, requirement."""
    setting = fields.find(key)
    if setting is None:
        raise click.ClickException(unknown(key))
    click.echo(setting.name)
    click.echo(f"  {setting.words.title}: {setting.words.text}")
    click.echo(f"  {'values':<12}{setting.values}")
    if not setting.section:
        click.echo(f"  {'default':<12}{shown_default(setting)}")
    if root:
        for name, value in fields.flat(in_force(root)).items():
            if (setting.section and _is_in(name, key)) or fields.find(name) == setting:
                click.echo(f"  {'in force':<12}{name} = {literal(value)}")
    if setting.words.requirement:
        click.echo(f"  {'requirement':<12}{setting.words.requirement}")
    if setting.section:
        for one in fields.every():
            below = one.name.removeprefix(setting.name).removeprefix(fields.ROW)
            if one.name.startswith(setting.name) and below.startswith(".") and "." not in below[1:]:
                click.echo(f"  {one.name:<40}{one.words.title}")


def shown_default(setting: Setting) -> str:
    return "none: it has to be given" if setting.default is msgspec.UNSET else literal(setting.default)


@config.command("set")
@root_option
@click.argument("key")
@click.argument("value")
def set_(root: Path, key: str, value: str) -> None:
    """Change one setting and save, if the result is good; a running gateway takes it within a second.

    VALUE is written as in the file; a text needs no quotes. Lists: '["a", "b"]'. For lists of tables edit the file.
    What else stands in the file stays as it is, comments too, and the history of the pages has the change.
    """
    setting = fields.find(key)
    if setting is None:
        raise click.ClickException(unknown(key))
    layout = _installation(root)
    if setting.section or fields.ROW in setting.name:
        raise click.ClickException(f"{setting.name} is {setting.values} or in one: edit {layout.config}")
    try:
        privileges.become_owner(root)  # the service has to be able to read what is saved
        author = Author("", "", int(time.time()))
        saved = Keeper(layout).save(None, {setting.name: _given(value, setting)}, author, "on the command line")
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or layout.config}: {error.strerror}") from None
    click.echo(f"{setting.name} = {literal(fields.flat(saved.settings)[setting.name])}")
    if not saved.kept:
        click.echo("note: the file had to be written anew; its comments are in the history on the pages", err=True)


def _given(value: str, setting: Setting) -> Any:
    """What was typed, as the file would have it; a text without quotes too."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


@config.command()
def reference() -> None:
    """Every setting in Markdown: docs/settings.md."""
    click.echo(page(), nl=False)


def in_force(root: Path) -> Settings:
    """The settings that count: while the file is broken, the last good ones. Says so on stderr."""
    layout = _installation(root)
    try:
        return engine_config.load(layout.config)
    except ConfigError as error:
        if not layout.in_force.exists():
            raise click.ClickException(str(error)) from None
        click.echo(f"{error}\nnote: these mistakes keep the last good settings in force, which follow", err=True)
    try:
        return engine_config.load(layout.in_force)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _installation(root: Path) -> Layout:
    layout = Layout(root)
    if not layout.config.exists():
        raise click.ClickException(f"{root} is no installation: there is no {layout.config.name} in it")
    return layout


def unknown(key: str) -> str:
    names = [one.name.replace(fields.ROW, "") for one in fields.every()]
    near = difflib.get_close_matches(key, names, 3)
    ends = [name for name in names if name.endswith(f".{key}")]
    hint = ", ".join((ends or near)[:3])
    return f"{key} is no setting" + (f": did you mean {hint}?" if hint else ": see `mailward config reference`")
