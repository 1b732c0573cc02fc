"""The setup assistant (INST-03..12): six steps, each a page that works by itself, can be left and come back to."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.assistant import answers
from control.assistant.answers import Row
from control.assistant.letter import Kind, State
from control.operation import Invalid, Mistake, NotFound, Nothing, Stale, Unavailable
from control.operations import assistant, settings
from control.page import Visit, form, page
from engine.config import Settings

PATH: Final = "/assistant"


class Step(msgspec.Struct, frozen=True):
    """done: tells from the settings whether anything was answered; None: a test, which is never done for good."""

    id: str
    title: str
    text: str
    done: Callable[[Settings], bool] | None = None

    @property
    def path(self) -> str:
        return f"{PATH}/{self.id}"


STEPS: Final = (
    Step(
        "domains",
        "Domains and their mail servers",
        "Which domains is mail accepted for, and which server of yours does it go on to?",
        lambda found: bool(found.routing.local or found.routing.default_host),
    ),
    Step(
        "senders",
        "Who may send out",
        "Which of your servers hand their outgoing mail to this gateway?",
        lambda found: bool(found.relay.hosts or found.relay.grants),
    ),
    Step(
        "people",
        "Name and administrator",
        "What is this gateway called, and who is told when something goes wrong?",
        lambda found: bool(found.notifications.administrators),
    ),
    Step("dns", "Test of DNS", "Is the name known in both directions, and does mail for your domains come here?"),
    Step("ports", "Test of the ports", "Does the gateway answer, and does it reach your mail servers?"),
    Step("mail", "Test mail", "Send a mail through the gateway and watch it arrive; then one with a test virus."),
)
_BY_ID: Final = {step.id: step for step in STEPS}


def overview(visit: Visit) -> Response:
    found = visit.context.settings.fresh()
    done = {step.id: step.done(found) for step in STEPS if step.done is not None}
    return visit.render("assistant/overview.html", steps=STEPS, done=done)


def later(visit: Visit) -> Response:
    assistant.put_off(visit.call, Nothing())
    return visit.done("/status", "The assistant waits under Setup assistant, on the left.")


# --- steps with answers -----------------------------------------------------------------------------


def _step(visit: Visit, step_id: str, status: int = 200, **values: Any) -> Response:
    place = STEPS.index(_BY_ID[step_id])
    following = STEPS[place + 1].path if place + 1 < len(STEPS) else PATH
    shown: dict[str, Any] = {"step": STEPS[place], "number": place + 1, "steps": STEPS, "following": following}
    template = "checks" if step_id in ("dns", "ports") else step_id
    return visit.render(f"assistant/{template}.html", status, **(shown | {"problem": "", "beside": {}} | values))


def _save(visit: Visit, step_id: str, values: dict[str, Any], typed: dict[str, Any]) -> Response:
    """Save what was typed and go on; or show it again, with the mistakes beside the fields."""
    etag = visit.fields.get("etag")
    try:
        settings.save(visit.call, settings.SettingsChange(values=values, if_match=etag))
    except Invalid as error:
        return _step(visit, step_id, 422, etag=etag, problem=error.text, beside=_beside(error.mistakes), **typed)
    except Stale as error:
        now = _now(visit)["etag"]
        text = f"{error.text} What you typed is still here; “Save” puts it in place of that."
        return _step(visit, step_id, 412, etag=now, problem=text, **typed)
    place = STEPS.index(_BY_ID[step_id])
    return visit.done(STEPS[place + 1].path, f"Saved: {_BY_ID[step_id].title}.")


def _beside(mistakes: tuple[Mistake, ...]) -> dict[str, list[str]]:
    """Texts by the name of the setting, of a list without the place in it."""
    found: dict[str, list[str]] = {}
    for mistake in mistakes:
        found.setdefault(mistake.place.partition("[")[0], []).append(mistake.text)
    return found


def _now(visit: Visit) -> dict[str, Any]:
    """The settings as they stand in the file, which may be newer than those in force."""
    found = settings.read(visit.call, settings.SettingsWanted())
    return {"etag": found.etag, "values": {one.name: one.value for one in found.settings}}


def show_domains(visit: Visit) -> Response:
    now = _now(visit)
    rows = [Row(one["name"], one["host"], str(one["port"])) for one in now["values"]["routing.local"]]
    return _step(
        visit,
        "domains",
        etag=now["etag"],
        rows=rows + [Row()] * answers.EMPTY_ROWS,
        default_host=now["values"]["routing.default_host"],
    )


def take_domains(visit: Visit) -> Response:
    fields = visit.fields
    rows = answers.typed_rows(fields.all("name"), fields.all("host"), fields.all("port"))
    default_host = fields.get("default_host")
    if fields.get("do") == "more":
        return _step(
            visit,
            "domains",
            etag=fields.get("etag"),
            rows=rows + [Row()] * answers.EMPTY_ROWS,
            default_host=default_host,
        )
    values = answers.domains(_now(visit)["values"]["routing.local"], rows, default_host)
    typed = {"rows": rows + [Row()] * answers.EMPTY_ROWS, "default_host": default_host}
    return _save(visit, "domains", values, typed)


def show_senders(visit: Visit) -> Response:
    now = _now(visit)
    hosts = "\n".join(now["values"]["relay.hosts"])
    return _step(visit, "senders", etag=now["etag"], hosts=hosts, servers=_servers(now))


def _servers(now: dict[str, Any]) -> list[str]:
    """The hosts that mail goes on to: usually they send out as well."""
    return sorted({one["host"] for one in now["values"]["routing.local"] if one["host"]})


def take_senders(visit: Visit) -> Response:
    hosts = visit.fields.get("hosts")
    return _save(visit, "senders", answers.senders(hosts), {"hosts": hosts, "servers": _servers(_now(visit))})


def show_people(visit: Visit) -> Response:
    now = _now(visit)
    return _step(
        visit,
        "people",
        etag=now["etag"],
        hostname=now["values"]["smtp.hostname"],
        administrators="\n".join(now["values"]["notifications.administrators"]),
        machine=visit.context.host(),
    )


def take_people(visit: Visit) -> Response:
    hostname, administrators = visit.fields.get("hostname"), visit.fields.get("administrators")
    typed = {"hostname": hostname, "administrators": administrators, "machine": visit.context.host()}
    return _save(visit, "people", answers.people(hostname, administrators), typed)


# --- tests ------------------------------------------------------------------------------------------


def show_dns(visit: Visit) -> Response:
    checks = assistant.names(visit.call, Nothing()).checks if visit.query("test") else None
    return _step(visit, "dns", checks=checks)


def show_ports(visit: Visit) -> Response:
    checks = assistant.ports(visit.call, Nothing()).checks if visit.query("test") else None
    return _step(visit, "ports", checks=checks)


def show_mail(visit: Visit) -> Response:
    smtp_id = visit.query("id")
    kind = Kind.EICAR if visit.query("kind") == Kind.EICAR else Kind.PLAIN
    fate = None
    if smtp_id:
        try:
            fate = assistant.follow(visit.call, assistant.TestMailWanted(smtp_id=smtp_id, kind=kind))
        except NotFound:  # the journal is read twice a second
            fate = assistant.TestMailFate(state=State.ON_THE_WAY, text="It was sent.", story=[])
    administrators = visit.context.settings().notifications.administrators
    to = visit.query("to") or next(iter(administrators), "")
    return _step(visit, "mail", to=to, smtp_id=smtp_id, kind=kind, fate=fate)


def take_mail(visit: Visit) -> Response:
    to = visit.fields.get("to").strip()
    kind = Kind.EICAR if visit.fields.get("kind") == Kind.EICAR else Kind.PLAIN
    try:
        sent = assistant.send(visit.call, assistant.TestMail(to=to, kind=kind))
    except Invalid as error:
        beside = {"to": [mistake.text for mistake in error.mistakes]}
        return _step(visit, "mail", 422, to=to, smtp_id="", kind=kind, fate=None, beside=beside)
    except Unavailable as error:
        return _step(visit, "mail", 503, to=to, smtp_id="", kind=kind, fate=None, problem=error.text)
    return visit.done(f"{PATH}/mail", "The gateway has taken the test mail.", id=sent.smtp_id, kind=kind, to=to)


routes: Final = [
    page(PATH, Scope.SETTINGS, overview),
    form(f"{PATH}/later", Scope.SETTINGS_WRITE, later),
    page(f"{PATH}/domains", Scope.SETTINGS, show_domains),
    form(f"{PATH}/domains", Scope.SETTINGS_WRITE, take_domains),
    page(f"{PATH}/senders", Scope.SETTINGS, show_senders),
    form(f"{PATH}/senders", Scope.SETTINGS_WRITE, take_senders),
    page(f"{PATH}/people", Scope.SETTINGS, show_people),
    form(f"{PATH}/people", Scope.SETTINGS_WRITE, take_people),
    page(f"{PATH}/dns", Scope.SETTINGS, show_dns),
    page(f"{PATH}/ports", Scope.SETTINGS, show_ports),
    page(f"{PATH}/mail", Scope.SETTINGS, show_mail),
    form(f"{PATH}/mail", Scope.SETTINGS_WRITE, take_mail),
]
