"""A headless browser on the pages, and what every page is held to: names, contrast, width, no complaint."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

PATIENCE_MS = 60_000
NARROW, WIDE, HEIGHT = 360, 1360, 860
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")

AUDIT = (Path(__file__).parent / "audit.js").read_text("utf-8")


@dataclass
class Tab:
    """One page in a browser, and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def audit(self, where: str) -> None:
        """Nothing is unnamed, faint or too wide."""
        assert self.page.evaluate(AUDIT) == [], where

    def audit_everywhere(self, where: str) -> None:
        """The same in both themes, narrow and wide."""
        for width in (NARROW, WIDE):
            self.page.set_viewport_size(ViewportSize(width=width, height=HEIGHT))
            for theme in THEMES:
                self.page.emulate_media(color_scheme=theme)
                expect(self.page.locator("html")).to_have_attribute("data-theme", theme)
                self.audit(f"{where}, {theme}, {width} px")

    def log_in(self, url: str, token: str) -> None:
        self.page.goto(f"{url}/ops")
        self.page.get_by_label("Operator token or tenant key").fill(token)
        self.page.get_by_role("button", name="Log in").click()

    def go(self, tab: str) -> None:
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=tab).click()


def chromium() -> str:
    """Where it is; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed: the pages are not looked at")
    return found


@contextmanager
def open_tab(*, width: int = WIDE, height: int = HEIGHT, dark: bool = False, **given: Any) -> Iterator[Tab]:
    """A tab of a browser of its own. It must be used in the thread that opened it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", *given.pop("args", [])])
        try:
            size = ViewportSize(width=width, height=height)
            context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", **given)
            context.set_default_timeout(PATIENCE_MS)
            tab = Tab(context.new_page())
            tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
            tab.page.on("console", lambda said: _complain(tab.complaints.append, said.type, said.text))
            yield tab
        finally:
            browser.close()


def _complain(add: Callable[[str], None], kind: str, text: str) -> None:
    # A refused login is said to the console too, by the browser itself.
    if kind in {"error", "warning"} and "status of 401" not in text:
        add(text)
