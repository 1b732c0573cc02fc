"""What needs the operator's attention, said above the figures of the Status page, each with the next step."""

import msgspec

from control.context import Context
from control.records.view import View
from engine import events


class Notice(msgspec.Struct, frozen=True):
    """level: bad or warn."""

    level: str
    text: str
    link: str = ""
    link_text: str = ""


def notices(context: Context, view: View) -> list[Notice]:
    settings = context.settings()
    found = []
    if context.follower.problem:
        found.append(
            Notice(
                "bad",
                f"The figures are behind: the journal cannot be read ({context.follower.problem})."
                " Mail is not affected. Check the free space and the rights of the directories log and control.",
            )
        )
    if context.postman.problem:
        found.append(
            Notice(
                "bad",
                f"Notifications and alerts are not written: {context.postman.problem}."
                " Mail is not affected. Check the free space and the rights of the directory control.",
            )
        )
    if settings.relay.allow_all:  # RELAY-02
        found.append(
            Notice(
                "bad",
                "This is an open relay: anybody may send mail to anybody through it. To end that, set allow_all to"
                " false under [relay] in mailward.toml, and name your own servers in hosts.",
            )
        )
    if settings.delivery.reject_incoming:
        found.append(
            Notice(
                "warn",
                "Incoming mail is rejected. To accept it, set reject_incoming to false under [delivery] "
                "in mailward.toml.",
            )
        )
    if settings.delivery.pause:
        found.append(
            Notice(
                "warn",
                "Delivery is paused: accepted mail waits. To deliver it, set pause to false under [delivery] "
                "in mailward.toml.",
            )
        )
    if not settings.antivirus.enabled:
        found.append(
            Notice(
                "warn", "Virus scanning is disabled. To scan, set enabled to true under [antivirus] in mailward.toml."
            )
        )
    return found + _definitions(view)


def _definitions(view: View) -> list[Notice]:
    refused, loaded = view.latest("definitions-refused"), view.latest("definitions-loaded")
    if not refused or (loaded and loaded[0].time >= refused[0].time):
        return []
    reason = msgspec.json.decode(refused[0].line, type=events.DefinitionsRefused).reason
    return [Notice("bad", f"The last definitions file was refused: {reason} The one before stays in use.")]
