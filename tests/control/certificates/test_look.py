"""The window Certificates in Chromium: light and dark, wide and narrow, filled in, with mistakes (UI-01, CERT-01)."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.control import axe
from tests.control.browser import looking, picture, too_wide, visiting
from tests.control.certificates.authority import new_key, pem, root
from tests.control.certificates.test_window import SETTINGS
from tests.control.harness import Gateway, running

HOME = "/configuration/setup/certificates"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("root"), SETTINGS) as one:
        yield one


def with_mistakes(page: Page) -> None:
    page.get_by_label("Organization", exact=True).fill("Example Ltd")
    page.get_by_label("State or province").fill("Devon")
    page.get_by_label("Country or region").select_option("GB")
    page.get_by_label("Further names").fill("good.example\n-bad-")
    page.get_by_role("button", name="Make key and request").click()
    expect(page.get_by_role("alert")).to_contain_text("is neither a host name")


def refused(page: Page) -> None:
    page.get_by_label("Certificate", exact=True).fill("nonsense")
    page.get_by_role("button", name="Install").click()
    expect(page.get_by_role("alert").first).to_contain_text("was not installed")


def test_from_request_to_the_way_back(chromium: Chromium, gateway: Gateway) -> None:
    """CERT-01, CERT-02, CERT-04, CERT-06, CERT-07, CERT-08: by mouse and keyboard, and looked at on the way."""
    with visiting(chromium, gateway) as visitor:
        page = visitor.go(f"{HOME}/request")
        with_mistakes(page)
        visitor.troubles.clear()  # Chromium calls an answer of 422 an error
        page.get_by_label("Further names").fill("good.example")
        page.get_by_role("button", name="Make key and request").click()
        expect(page.get_by_role("status")).to_contain_text("The private key and the request are made")
        expect(page.get_by_role("region", name="Text of the request")).to_contain_text("BEGIN CERTIFICATE REQUEST")
        ca, key = root("Authority of the house"), new_key()
        page = visitor.go(f"{HOME}/install")
        page.get_by_label("Certificate", exact=True).fill(pem(ca.issue(key.public_key(), "gate.example.com")).decode())
        page.get_by_text("Private key and password").click()
        page.get_by_label("Private key", exact=True).fill(pem(key).decode())
        page.get_by_role("button", name="Install").click()
        expect(page.get_by_role("status")).to_contain_text("installed and in force")
        expect(page.get_by_role("table", name="In force")).to_contain_text("CN=Authority of the house")
    with looking(chromium, gateway) as looks:
        looks.check(HOME, name="certificates-installed")
        looks.check(f"{HOME}/request", name="certificates-request-waits")
    with visiting(chromium, gateway, scheme="dark", width=390) as visitor:
        for path, prepare in (("/request", with_mistakes), ("/install", refused)):
            page = visitor.go(HOME + path)
            prepare(page)
            picture(page, f"certificates{path.replace('/', '-')}-mistakes-dark-390")
            assert not too_wide(page)
            assert not axe.violations(page, axe.EVERYTHING)
            visitor.troubles.clear()  # Chromium calls an answer of 422 an error
    with visiting(chromium, gateway) as visitor:
        page = visitor.go(HOME)
        page.get_by_role("button", name="Go back to this one").click()
        page.get_by_role("button", name="Go back").click()
        expect(page.get_by_role("status")).to_contain_text("in force again")
