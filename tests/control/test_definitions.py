"""The Definitions page and its operations, with a real control process."""

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control.definitions import PREVIOUS, RECORD, Library
from control.operations.definitions import UPLOAD_LEN
from control.updates.session import alone
from engine import events
from engine.config import Settings
from engine.layout import Layout
from signatures import image
from signatures.compile import compile_sources, starter
from signatures.model import Literal, Signature
from tests.control.harness import Browser, Gateway, Reply, wait_until

BOUNDARY = "mailward-boundary"


def image_of(*names: str) -> bytes:
    return image.build([Signature(name=name, body=Literal(b"pattern of " + name.encode())) for name in names])


def revision_of(octets: bytes) -> str:
    return image.describe(octets).revision


@pytest.fixture
def folder(gateway: Gateway) -> Path:
    """With the starter definitions in force, and nothing else."""
    found = gateway.root / "definitions"
    for path in found.iterdir():
        path.unlink()
    (found / "starter.mwd").write_bytes(compile_sources(starter()))
    return found


@pytest.fixture
def admin(gateway: Gateway, folder: Path) -> Browser:
    return gateway.admin()


def upload(admin: Browser, content: bytes, name: str = "new.mwd") -> Reply:
    token = admin.token("/definitions")
    body = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="token"\r\n\r\n{token}\r\n--{BOUNDARY}\r\n'
        f'content-disposition: form-data; name="file"; filename="{name}"\r\n'
        "content-type: application/octet-stream\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return admin.request("POST", "/definitions/upload", body=body, headers=headers)


def known(admin: Browser) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(admin.get("/api/v1/definitions").text)
    return found


def modifications(gateway: Gateway) -> list[str]:
    lines = "".join(path.read_text() for path in (gateway.root / "log" / "journal").glob("control-*"))
    found = [msgspec.json.decode(line) for line in lines.splitlines()]
    return [one["modification"] for one in found if one["event"] == "object-modified"]


def test_the_page_tells_what_is_in_force(admin: Browser, folder: Path) -> None:
    """DEF-13: date and revision of the set."""
    page = admin.get("/definitions").text
    assert revision_of((folder / "starter.mwd").read_bytes()) in page
    assert "when Mailward was installed" in page
    assert "None are kept" in page


def test_an_uploaded_file_comes_into_force_and_can_be_taken_back(
    gateway: Gateway, admin: Browser, folder: Path
) -> None:
    """DEF-16: checked, swapped at once, roll back by one control; ACC-10."""
    before, after = (folder / "starter.mwd").read_bytes(), image_of("Test.One", "Test.Two")
    reply = upload(admin, after)
    assert (reply.status, reply.headers["location"]) == (303, "/definitions")
    page = admin.get("/definitions").text
    assert f"Revision {revision_of(after)} with 2 signatures is in place." in page
    assert "admin, uploaded" in page
    assert (folder / "starter.mwd").read_bytes() == after
    assert (folder / PREVIOUS).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"starter.mwd", PREVIOUS, RECORD}
    token = admin.token("/definitions")
    asked = admin.request("POST", "/definitions/rollback", {"token": token})
    assert "Go back to the definitions before?" in asked.text
    assert (folder / "starter.mwd").read_bytes() == after, "only asked"
    admin.request("POST", "/definitions/rollback", {"token": token, "confirmed": "yes"})
    assert (folder / "starter.mwd").read_bytes() == before
    assert (folder / PREVIOUS).read_bytes() == after
    assert modifications(gateway)[-2:] == [
        f"uploaded, revision {revision_of(after)}",
        f"rolled back to revision {revision_of(before)}",
    ]


@pytest.mark.parametrize(
    "content", [b"no image", b"", image_of("Test.One")[:-1], image_of("Test.One").replace(b"pattern", b"pettern")]
)
def test_a_file_that_cannot_be_used_changes_nothing(admin: Browser, folder: Path, content: bytes) -> None:
    """DEF-12, DEF-16: a failure keeps the old set."""
    before = (folder / "starter.mwd").read_bytes()
    reply = upload(admin, content, name='"><script>alert(1)</script>.mwd')
    assert reply.status == 422
    assert 'role="alert"' in reply.text
    assert "<script>alert" not in reply.text
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"starter.mwd": before}


def test_uploads_are_bounded(admin: Browser, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    reply = upload(admin, bytes(UPLOAD_LEN + 1))
    assert reply.status == 422
    assert "Copy it into" in reply.text
    assert {path.name for path in folder.iterdir()} == before


def test_a_file_on_the_server_can_be_chosen(admin: Browser, folder: Path) -> None:
    new = image_of("Test.Large")
    (folder / "large.mwd").write_bytes(new)
    (folder / "broken.mwd").write_bytes(b"broken")
    page = admin.get("/definitions").text
    assert "Put large.mwd in force" in page
    assert "Put broken.mwd in force" not in page
    token = admin.token("/definitions")
    asked = admin.request("POST", "/definitions/choose", {"token": token, "name": "large.mwd"})
    assert "Put these definitions in force?" in asked.text
    admin.request("POST", "/definitions/choose", {"token": token, "name": "large.mwd", "confirmed": "yes"})
    assert (folder / "starter.mwd").read_bytes() == new
    assert (folder / "large.mwd").exists()
    assert known(admin)["record"] == {
        "revision": revision_of(new),
        "user": "admin",
        "time": msgspec.json.decode((folder / RECORD).read_bytes())["time"],
        "how": "from the file large.mwd",
    }


@pytest.mark.parametrize("name", ["../mailward.toml", "/etc/passwd", "..", "nothing.mwd", "starter.mwd", "a\0b", ""])
def test_nothing_else_can_be_chosen(admin: Browser, folder: Path, name: str) -> None:
    """Path traversal: only names that the page offers are taken."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fields = {"token": admin.token("/definitions"), "name": name, "confirmed": "yes"}
    assert admin.request("POST", "/definitions/choose", fields).status == 404
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_a_file_before_there_is_nothing_to_go_back_to(admin: Browser) -> None:
    fields = {"token": admin.token("/definitions"), "confirmed": "yes"}
    reply = admin.request("POST", "/definitions/rollback", fields)
    assert (reply.status, "none were replaced yet" in reply.text) == (409, True)


def test_programs_can_do_the_same(admin: Browser, folder: Path) -> None:
    """HTTP-08"""
    token = re.search(r'name="token" value="([0-9a-f]+)"', admin.get("/definitions").text)
    assert token
    headers = {"content-type": "application/json", "x-mailward-token": token[1]}
    new = image_of("Test.Api")
    body = msgspec.json.encode({"content": new})
    reply = admin.request("POST", "/api/v1/definitions", body=body, headers=headers)
    assert (reply.status, msgspec.json.decode(reply.text)["revision"]) == (200, revision_of(new))
    found = msgspec.json.decode(admin.get("/api/v1/definitions/signatures?name=test.").text)
    assert [one["name"] for one in found["signatures"]] == ["Test.Api"]
    reply = admin.request("POST", "/api/v1/definitions/rollback", body=b"{}", headers=headers)
    assert reply.status == 200
    reply = admin.request("POST", "/api/v1/definitions/files/..%2fmailward.toml", body=b"{}", headers=headers)
    assert reply.status == 404


def test_a_signature_is_found_by_a_part_of_its_name(admin: Browser) -> None:
    page = admin.get("/definitions?name=eicar").text
    assert "EICAR-Test-File" in page
    assert "GTUBE" not in page
    assert "No signature in force" in admin.get("/definitions?name=%3Cscript%3E").text


def test_what_the_relays_say_of_the_last_file_is_shown(gateway: Gateway, admin: Browser) -> None:
    """DEF-13, STAT-10..12: time and outcome of the last attempt."""
    gateway.journal.write(events.DefinitionsLoaded(revision="r-1", signatures=7))
    wait_until(lambda: known(admin)["outcome"] == "Succeeded", "loaded")
    gateway.journal.write(events.DefinitionsRefused(reason="wrong layout <b>9</b>"))
    wait_until(lambda: known(admin)["outcome"] == "Failed", "refused")
    page = admin.get("/definitions").text
    assert "The last definitions file was refused: wrong layout &lt;b&gt;9&lt;/b&gt;." in page
    status = admin.get("/status").text
    assert 'href="/definitions">Go to Definitions</a>' in status
    assert '<td data-figure="definitions_outcome">Failed</td>' in status


def test_update_now_on_the_page_and_over_the_api(admin: Browser) -> None:
    """DEF-07, DEF-13, DEF-17: begun at once; what came of it is shown with its time, the reason and the next step."""
    reply = admin.request("POST", "/definitions/updates/begin", {"token": admin.token("/definitions/updates")})
    assert (reply.status, reply.headers["location"]) == (303, "/definitions/updates")

    def state() -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(admin.get("/api/v1/definitions/updates").text)
        return found

    wait_until(lambda: bool(state()["history"]) and not state()["running"], "the update ends")
    (attempt,) = state()["history"]
    assert (attempt["result"], attempt["user"]) == ("Failed", "admin")
    page = admin.get("/definitions/updates").text
    assert "no source of updates is named" in page
    assert "http-equiv" not in page
    wait_until(lambda: "The last update of the definitions failed" in admin.get("/status").text, "the notice")
    assert "The last attempt failed" in admin.get("/definitions").text


def test_while_an_update_runs_there_is_no_second_one(gateway: Gateway, admin: Browser) -> None:
    """DEF-08: the control is disabled, and a request all the same is told so; the page loads itself anew."""
    with alone(Layout(gateway.root)):
        page = admin.get("/definitions/updates").text
        assert 'class="main" disabled>Update now' in page
        assert '<meta http-equiv="refresh"' in page
        fields = {"token": admin.token("/definitions/updates")}
        admin.request("POST", "/definitions/updates/begin", fields)
        assert "running already" in admin.get("/definitions/updates").text
        headers = {"content-type": "application/json", "x-mailward-token": fields["token"]}
        assert admin.request("POST", "/api/v1/definitions/updates", body=b"{}", headers=headers).status == 409


def test_going_back_makes_no_set_younger(tmp_path: Path) -> None:
    """DEF-13: the alarm of the age goes by the time of the file where nothing else is known of it."""
    layout = Layout(tmp_path)
    layout.definitions.mkdir()
    library = Library(layout, Settings)
    library.path.write_bytes(image_of("Old"))
    os.utime(library.path, (1e9, 1e9))
    library.install(image_of("New"), "admin", 1, "uploaded")
    young = library.path.stat().st_mtime
    assert young > 1e9
    library.roll_back("admin", 2)
    assert library.path.stat().st_mtime == 1e9
    library.roll_back("admin", 3)
    assert library.path.stat().st_mtime == young
