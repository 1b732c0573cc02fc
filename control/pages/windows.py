"""Which settings stand on which page (UI-02..04), in one table: every setting on exactly one; a test goes over all."""

import os
from typing import Final

import msgspec

from control.actor import Scope
from control.forms.declared import CONTROLS, Control, Group, group
from engine.config.notices import RECOMMENDED_ALERTS


class Offer(msgspec.Struct, frozen=True):
    """Values that a button puts into the form; they are saved like what is typed."""

    label: str
    values: dict[str, bool]


class Window(msgspec.Struct, frozen=True):
    """tables: of the settings file, or single settings. without: what of these stands elsewhere.

    back: the page that shows this form among other things, if it is not a page of its own.
    """

    path: str
    title: str
    intro: str
    tables: tuple[str, ...]
    without: tuple[str, ...] = ()
    back: str = ""
    scope: Scope = Scope.SETTINGS
    links: tuple[tuple[str, str], ...] = ()
    offer: Offer | None = None

    def groups(self) -> list[Group]:
        """Single settings of one table come together."""
        found: list[Group] = []
        for table in self.tables:
            one = _without(group(table), self.without)
            if found and found[-1].name == one.name:
                found[-1] = msgspec.structs.replace(found[-1], parts=(*found[-1].parts, *one.parts))
            else:
                found.append(one)
        return found

    def controls(self) -> list[Control]:
        return [control for one in self.groups() for control in one.controls()]


def _without(whole: Group, names: tuple[str, ...]) -> Group:
    parts = [_without(one, names) if isinstance(one, Group) else one for one in whole.parts if one.name not in names]
    return msgspec.structs.replace(whole, parts=tuple(parts))


_TRY: Final = ("Try a message", "/blocking/try")
_NOBODY: Final = ("Administrator addresses", "/configuration/accounts")

WINDOWS: Final = (
    Window(
        "/configuration/accounts/settings",
        "Sessions and addresses",
        "How long a logon lasts, and who gets alerts and administrator notifications. Addresses alone send nothing:"
        " what is sent is switched on under Alerts and on the Notify tabs.",
        ("web.timeout_minutes", "notifications.administrators"),
        back="/configuration/accounts",
    ),
    Window(
        "/configuration/accounts/sign-on",
        "Sign-on at a provider",
        "Logging on at an identity provider by OpenID Connect, besides accounts with passwords. Whoever it vouches for"
        " gets an account at the first time; the claims of the provider say with which role.",
        ("web.oidc",),
        back="/configuration/accounts",
    ),
    Window(
        "/configuration/setup/smtp",
        "SMTP",
        "How mail comes in. The numbers of connections suit most sites: higher ones cost memory and processor time, and"
        f" more cores make use of more of them. This machine has {os.cpu_count() or 1}.",
        ("smtp",),
        without=("smtp.from_name", "smtp.from_address"),
    ),
    Window(
        "/configuration/setup/delivery",
        "Delivery",
        "How and for how long mail is handed over, and the two switches for an emergency.",
        ("delivery",),
        links=(("Queues", "/queues/overview"), ("Routing", "/configuration/routing")),
    ),
    Window(
        "/configuration/setup/https",
        "HTTP and HTTPS",
        "Where these pages listen, and by which names they are reached.",
        ("web",),
        without=("web.timeout_minutes", "web.acme", "web.oidc"),
        links=(("Certificates", "/configuration/setup/certificates"),),
    ),
    Window(
        "/configuration/setup/certificates/acme",
        "Certificates by ACME",
        "An authority that issues and renews the certificate by itself.",
        ("web.acme",),
        back="/configuration/setup/certificates",
    ),
    Window(
        "/configuration/setup/other",
        "Other",
        "What Mailward's own mail is called, who is asked for DNS, and how many processes work. Never enter a mailbox"
        " that somebody reads as the address of the sender: all mail to it is dropped, so that replies of machines"
        " cannot go round and round.",
        ("smtp.from_name", "smtp.from_address", "dns", "processes"),
    ),
    Window(
        "/configuration/scan",
        "Scan policy",
        "What is scanned for viruses, and what happens to mail that cannot be wholly examined.",
        ("antivirus.files", "antivirus.include", "antivirus.exclude", "antivirus.unscanned"),
        links=(("Antivirus settings", "/antivirus/settings/configure"), ("Hold queue", "/queues/hold")),
    ),
    Window(
        "/configuration/routing",
        "Routing",
        "Which domains are yours, and where their mail goes. An entry comes before the default route; an exact name"
        " comes before one with *, a longer one before a shorter one, then the order counts.",
        ("routing",),
        links=(("Anti-relay", "/blocking/relay"),),
    ),
    Window(
        "/configuration/alerts",
        "Alerts",
        "Which events administrators are told of by mail. Recommended: start after a crash, low disk space, low memory,"
        " suspect message and failed logons.",
        ("alerts",),
        links=(_NOBODY,),
        offer=Offer("Switch on the recommended ones", {f"alerts.{name}": True for name in RECOMMENDED_ALERTS}),
    ),
    Window("/configuration/logging", "Logging", "Whether events are kept, and for how long.", ("logging",)),
    Window(
        "/configuration/diagnostics",
        "Diagnostics",
        "What is kept for technicians. Change it only when you look for a fault, and put it back afterwards: it costs"
        " disk space, and may keep the mail of your users.",
        ("diagnostics",),
        scope=Scope.DIAGNOSTICS,
        links=(
            ("Diagnostic files", "/configuration/diagnostic-files"),
            ("Support bundle", "/configuration/support-bundle"),
        ),
    ),
    Window(
        "/blocking/content/configure",
        "Content",
        "Large messages are refused while they are sent; subjects and file names are looked at afterwards.",
        ("blocking.size", "blocking.subject", "blocking.files"),
        links=(_TRY,),
    ),
    Window(
        "/blocking/content/notify",
        "Notifications of content violations",
        "Who is told of subjects and file names that are not allowed.",
        ("notifications.content",),
        links=(_NOBODY,),
    ),
    Window(
        "/blocking/containers/configure",
        "Container limits",
        "Archives and messages in each other can unfold to far more than they seem. These limits protect the gateway.",
        ("blocking.containers",),
        links=(_TRY,),
    ),
    Window(
        "/blocking/containers/notify",
        "Notifications of container limits",
        "Who is told of containers that exceed a limit.",
        ("notifications.container",),
        links=(_NOBODY,),
    ),
    Window(
        "/blocking/encrypted/configure",
        "Encrypted containers",
        "What asks for a password cannot be looked into, and may hold anything.",
        ("blocking.encrypted",),
        links=(_TRY,),
    ),
    Window(
        "/blocking/encrypted/notify",
        "Notifications of encrypted containers",
        "Who is told of encrypted containers.",
        ("notifications.encrypted",),
        links=(_NOBODY,),
    ),
    Window(
        "/blocking/spam/configure",
        "Anti-spam",
        "Mail by who sends it: listed senders, DNS block lists with a white list, and what DNS says of a sender.",
        (
            "blocking.senders",
            "blocking.block_lists",
            "blocking.white_list",
            "authentication",
            "blocking.dmarc",
        ),
        links=(_TRY,),
    ),
    Window(
        "/blocking/spam/notify",
        "Notifications of spam",
        "Who is told of listed senders and hosts. To tell senders of spam is rarely wise: they are mostly forged.",
        ("notifications.spam",),
        links=(_NOBODY,),
    ),
    Window(
        "/blocking/relay",
        "Anti-relay",
        "Who may send through this gateway to other sites. Your own mail servers have to be listed, nobody else should"
        " be.",
        ("relay", "blocking.characters"),
        links=(("Routing", "/configuration/routing"), _TRY),
    ),
    Window(
        "/antivirus/settings/configure",
        "Antivirus settings",
        "What happens to infected files.",
        ("antivirus",),
        without=("antivirus.files", "antivirus.include", "antivirus.exclude", "antivirus.unscanned"),
        links=(("Scan policy", "/configuration/scan"), ("Definitions", "/definitions")),
    ),
    Window(
        "/quarantine/settings",
        "Quarantine settings",
        "Which infected files are put aside, and where they go. While the central server is down they pile up here,"
        " which may slow this gateway down: the bounds below hold, and administrators are told at 80 %.",
        ("quarantine",),
        links=(("Quarantine", "/quarantine/items"), ("Antivirus settings", "/antivirus/settings/configure")),
    ),
    Window(
        "/antivirus/settings/notify",
        "Notifications of viruses",
        "Who is told of infected mail.",
        ("notifications.virus",),
        links=(_NOBODY,),
    ),
    Window(
        "/definitions/settings",
        "Updates of the definitions",
        "Where new definitions come from, and when they are looked for. A failure of any kind leaves those in force.",
        ("updates",),
        back="/definitions/updates",
        links=(("Alerts", "/configuration/alerts"),),
    ),
    Window(
        "/antivirus/outbreak/configure",
        "Outbreak alert",
        "A warning when many infected messages come within a short time.",
        ("outbreak",),
        without=("outbreak.recipients", "outbreak.subject", "outbreak.text"),
    ),
    Window(
        "/antivirus/outbreak/notify",
        "Recipients of the outbreak alert",
        "The alert goes to these addresses only; administrators do not get it by themselves.",
        ("outbreak.recipients", "outbreak.subject", "outbreak.text"),
    ),
)  # fmt: skip

LEAST_ROWS: Final = {"blocking.block_lists.lists": 3}  # DNSBL-01


def page_of(setting: str) -> Window | None:
    """Where a setting, or the one that its name begins with, is changed."""
    name = next((one for one in CONTROLS if setting == one or setting.startswith((f"{one}[", f"{one}."))), "")
    return next((window for window in WINDOWS if name in {one.name for one in window.controls()}), None)
