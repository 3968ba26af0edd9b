"""Open WebUI, started by `docs/clients.md`, in a browser: a person signs in, sees the models, and is answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import chromium
from tests.clients.programs import serving
from tests.lab.client_programs import SAY, deploy_for_programs
from tests.lab.conftest import NewHost
from tests.labhost import Lab, LabHost

pytestmark = pytest.mark.soak_only

NAMES = {"gpt-4o", "claude-opus-4-8", *SAY}
ANSWERED = 60_000
"""Milliseconds for an answer: a model is asked for the chat's title, too, and one request is served at a time."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("webui", prepared=True)


@pytest.fixture(scope="module")
def page(lab: Lab, host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of somebody who has just signed up."""
    endpoint = deploy_for_programs(host)
    folder = tmp_path_factory.mktemp("open-webui")
    with serving(lab.folders, "open-webui", endpoint, folder / "home") as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_role("button", name="Get started").click()
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Email").fill("ada@example.com")
        page.locator("#password").fill("of-a-test-1")
        page.get_by_role("button", name="Create Admin Account").click()
        page.get_by_role("button", name="Okay, Let's Go!").click()
        yield page
        # To be looked at.
        page.screenshot(path=folder / "open-webui.png")


def test_the_models_of_the_endpoint_are_listed(page: Page) -> None:
    page.get_by_role("button", name="Selected model").click()
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options).to_have_count(len(NAMES))
    assert {option.inner_text().strip() for option in options.all()} == NAMES
    page.keyboard.press("Escape")


def test_the_first_message_to_the_preselected_model_is_answered(page: Page) -> None:
    """It sends tools with each message, also to a model that calls none."""
    expect(page.get_by_role("button", name="Selected model: gpt-4o")).to_be_visible()
    box = page.get_by_role("textbox", name="How can I help you today?")
    box.fill("Who are you?")
    box.press("Enter")
    expect(page.locator(".chat-assistant")).to_have_text(SAY["tiny-vllm"], timeout=ANSWERED)
