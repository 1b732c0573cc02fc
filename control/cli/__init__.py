"""The command line: `mailward`. Each command is one module here; the work is done in the rooms behind it."""

from importlib import import_module

import click

from engine import VERSION

COMMANDS = {
    "init": "init",
    "serve": "serve",
    "password": "password",
    "submitter": "submitter",
    "scan": "scan",
    "repair": "repair",
    "definitions": "definitions",
    "signatures": "signatures",
    "queue": "queue",
    "trace": "trace",
    "sink": "sink",
    "send-samples": "samples",
    "config": "config",
    "policy": "policy",
    "quarantine": "quarantine",
    "support": "support",
    "dev": "dev",
}


class _Lazy(click.Group):
    """Loads the module of a command when it is called: starting the service should not wait for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"control.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="mailward")
def main() -> None:
    """Mailward, an SMTP security gateway: accepts mail, keeps it safe, removes malware, relays the rest."""
