"""The status page in a browser: readable at any width and in both schemes, accessible, and content with itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from roles.verify import EARLIER, FORMS, Verdict
from tests.chromium import chromium
from tests.verdicts import BAD, GOOD, USED, earlier_runs

PHONE, DESKTOP = 390, 1280
VERDICTS = {"good": USED, "bad": BAD}
ColorScheme: TypeAlias = Literal["light", "dark"]
SCHEMES: tuple[ColorScheme, ...] = ("light", "dark")


@dataclass
class Opened:
    """A page, and all that it said and asked for."""

    page: Page
    said: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def _open(
    browser: Browser,
    folder: Path,
    verdict: Verdict,
    *,
    width: int = DESKTOP,
    scheme: ColorScheme = "light",
    scripts: bool = True,
) -> Opened:
    """`scripts` runs those of the tests; the page has none."""
    file = folder / "status.html"
    file.write_text(FORMS["html"].write(verdict, earlier_runs(EARLIER)))
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts)
    opened = Opened(page, [], [])
    page.on("console", lambda message: opened.said.append(message.text))
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("request", lambda request: opened.asked.append(request.url))
    page.goto(file.as_uri())
    return opened


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_wrong_and_the_page_asks_for_nothing(
    browser: Browser, tmp_path: Path, name: str, width: int, scheme: ColorScheme
) -> None:
    opened = _open(browser, tmp_path, VERDICTS[name], width=width, scheme=scheme)
    page = opened.page
    # Whatever is folded is a part of the page too.
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert opened.said == []
    assert opened.asked == [page.url]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_two_schemes_differ(browser: Browser, tmp_path: Path) -> None:
    grounds = set()
    for scheme in SCHEMES:
        page = _open(browser, tmp_path, GOOD, scheme=scheme).page
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(grounds) == 2


def test_the_filter_leaves_what_does_not_hold_without_any_script(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, BAD, scripts=False).page
    rows = page.locator("#checks tbody tr")
    held, failed = rows.filter(has_text="starts at boot"), rows.filter(has_text="nothing listens on port 8001")
    gateway = page.locator("#checks").get_by_role("heading", name="Gateway")
    expect(held.filter(visible=True)).not_to_have_count(0)
    expect(gateway).to_be_visible()
    page.get_by_label("Only what does not pass (7 of 49)").check()
    expect(held.filter(visible=True)).to_have_count(0)
    expect(gateway).to_be_hidden()
    expect(failed).to_be_visible()
    expect(rows.filter(visible=True)).to_have_count(7)
    page.close()


def test_where_all_holds_there_is_nothing_to_filter(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, GOOD, scripts=False).page
    expect(page.get_by_role("checkbox")).to_be_disabled()
    expect(page.get_by_role("heading", name="All 49 checks pass")).to_be_visible()
    page.close()


def test_a_command_line_is_unfolded_without_any_script(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, GOOD, scripts=False).page
    line = page.get_by_text("curl -sS").filter(has_text="qwen-python")
    expect(line).to_be_hidden()
    page.get_by_text("curl: qwen-python").click()
    expect(line).to_be_visible()
    page.close()


def test_what_a_model_says_is_text_and_no_script(browser: Browser, tmp_path: Path) -> None:
    opened = _open(browser, tmp_path, BAD)
    expect(opened.page.get_by_text("<script>document.title = 'owned'</script>").first).to_be_visible()
    assert opened.page.title() == "✗ gpu-box: 6 of 49 checks fail, 1 of 49 checks could not be made"
    opened.page.close()


def test_the_keyboard_reaches_the_findings_first_and_focus_shows(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, BAD).page
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the findings")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    assert skip.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.close()


def test_a_reader_without_eyes_hears_tables_as_tables_on_a_phone_too(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, GOOD, width=PHONE).page
    services = page.get_by_role("table", name="Services")
    expect(services.get_by_role("columnheader")).to_have_count(4)
    expect(services.get_by_role("rowheader")).to_have_count(7)
    page.close()


def test_the_last_day_is_seen_and_told(browser: Browser, tmp_path: Path) -> None:
    page = _open(browser, tmp_path, USED, width=PHONE, scripts=False).page
    graphs = page.locator("#last-day figure")
    # The one without any value is not drawn.
    expect(graphs).to_have_count(5)
    requests = page.get_by_role("img", name="Requests by status in the last day: 2xx now 0.9, at most 2.6")
    expect(requests).to_be_visible()
    expect(requests.locator("polyline")).to_have_count(3)
    # A part before a gap, one value alone, and one after it.
    expect(graphs.filter(has_text="First token").locator("polyline")).to_have_count(2)
    expect(graphs.filter(has_text="Fallbacks")).to_contain_text("and 3 smaller")
    page.close()
