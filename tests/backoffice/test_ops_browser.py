"""The ops page in a browser, while 50 synthetic calls are on the line of a real gateway; and with 500 rows."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from playwright.sync_api import Page, expect

from engine.backoffice.office import Office, open_office
from engine.call import deadlines
from engine.call.admission import Bars
from engine.sim.brain import GroundedBrain
from engine.sim.caller import CallOptions
from engine.sim.gemini import SimGemini
from engine.sim.moods import Refuse, Rule
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.sim.scenario import Listen, Moment, Say, StayOn
from engine.sim.serving import free_ports
from engine.sim.world import World, open_world
from engine.store.interface import CallEnd, Message
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.backoffice.browser import PATIENCE_MS, Tab, chromium, open_tab
from tests.backoffice.conftest import TOKEN, settings_for, there
from tests.backoffice.many_calls import serve, shown
from tests.calls import PARKING, InlineVoice, cache_dir, phrase_ear, phrases

pytestmark = pytest.mark.real_time

CALLS = 50
LINE = "This is the practice. We will call you back."
TALKER = "+15550107777"
PAST = "CAffffffffffffffffffffffffffffffff"
EVERYWHERE = ("Calls", "Health", "Tenants", "History", "Usage")


@dataclass
class Floor:
    """Calls on the line, and the back office that shows them."""

    url: str
    world: World
    reports: dict[str, PhoneReport]


@asynccontextmanager
async def busy(url: str, tmp_path: Path, speech: VoiceCache) -> AsyncIterator[Floor]:
    """Fifty callers: one asks something, the others listen; one was refused by the model at first."""
    (ops,) = free_ports(1)
    settings = settings_for(url, tmp_path, gateways=f"http://127.0.0.1:{ops}")
    model = SimGemini(
        ear=phrase_ear(speech), brain=GroundedBrain(), voice=InlineVoice(speech), rules=[Rule(Refuse(), connection=4)]
    )
    async with open_office(settings) as office:
        tenant = await there(office, "harbor-dental")
        await _leave_a_call(office, tenant)
        plenty = tenant.quotas.model_copy(update={"concurrent_calls": 500, "calls_per_minute": None})
        world = open_world(
            data_dir=cache_dir(speech),
            tenants=[tenant.model_copy(update={"quotas": plenty})],
            model=model,
            admin_token=TOKEN,
            ops_bind=f"127.0.0.1:{ops}",
            max_calls=CALLS * 2,
        )
        async with world as on, trio.open_nursery() as nursery:
            # Callers, carrier, model and gateway share this one process: its loop is late, and none of them is refused.
            on.composed.switchboard._admissions._bars = Bars(late_ms=1e6, hopeless_ms=1e6)
            stop = trio.Event()
            floor = Floor(await nursery.start(serve, office, stop), on, {})
            for number in range(CALLS):
                nursery.start_soon(_caller, floor, number, phrases(speech)[PARKING])
                await trio.sleep(0.05)
            yield floor
            stop.set()
            nursery.cancel_scope.cancel()


async def _caller(floor: Floor, number: int, parking: Any) -> None:
    """Calls, and again where a machine that has other things to do let the call fail."""
    caller = TALKER if number == 0 else f"+1555010{number:04d}"
    talks: list[Moment] = [Listen(), Say(parking), Listen(), StayOn(400)]
    options = CallOptions(hang_up_after_s=400, status_url="/twilio/status")
    while True:
        floor.reports[caller] = await floor.world.call(
            talks if number == 0 else [StayOn(400)], caller=caller, options=options
        )
        await trio.sleep(1.0)


async def _leave_a_call(office: Office, tenant: Tenant) -> None:
    """A call that has ended, with a message."""
    document = {
        "caller": "+15550101234",
        "duration_s": 31.0,
        "turns": 1,
        "tokens": {},
        "outcome": {"detail": "left a message"},
        "ended_at": "2026-03-01T09:30:00+00:00",
        "transcript": [{"role": "caller", "text": "Are you open on Sunday?", "turn": 1, "cut": False}],
        "timeline": [{"at_ms": 900.0, "kind": "speech", "text": "", "facts": {"speech_ms": 800}}],
    }
    message = Message(tenant.id, PAST, "+15550101234", b"\xff" * 8000, "2026-03-01T09:30:00+00:00")
    await office.store.keep_call(CallEnd(tenant.id, PAST, "upstream", "message_taken", document, (message,)))


async def in_browser(walk: Callable[[Tab], None], **given: Any) -> None:
    """Run it in a thread of its own: the browser's interface blocks."""

    def run() -> None:
        with open_tab(**given) as tab:
            walk(tab)
            assert tab.complaints == []

    chromium()
    await trio.to_thread.run_sync(run)


async def test_an_operator_finds_a_call_takes_it_over_and_ends_it(
    url: str, tmp_path: Path, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SILENCE_S", 600.0)  # nor is a silent caller let go within a slow walk
    async with busy(url, tmp_path, speech) as floor:

        def walk(tab: Tab) -> None:
            page = tab.page
            page.goto(f"{floor.url}/ops")
            page.get_by_label("Operator token or tenant key").fill("guessed")
            tab.audit("login")
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_have_text("That token or key is not known here.")
            tab.log_in(floor.url, TOKEN)
            grid = page.get_by_role("grid", name="Calls on the line")
            expect(grid).to_have_attribute("aria-rowcount", str(CALLS + 1), timeout=PATIENCE_MS)
            expect(page.locator("#verdict")).to_contain_text(f"{CALLS} calls on the line on 1 worker")
            assert page.locator(".call").count() < CALLS
            tab.audit("calls, wide")
            page.keyboard.press("/")
            page.keyboard.type("0107777")
            expect(grid).to_have_attribute("aria-rowcount", "2")
            grid.focus()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            _take_over(tab)

        await in_browser(walk)
        with trio.fail_after(20):
            while TALKER not in floor.reports:
                await trio.sleep(0.1)
    heard = floor.reports[TALKER].right
    assert find_clip(heard, speech.mulaw(LINE)) is not None


def _take_over(tab: Tab) -> None:
    page = tab.page
    panel = page.get_by_role("complementary", name="Call")
    expect(panel.get_by_role("heading", name="+1 555 010 7777")).to_be_focused()
    expect(panel.get_by_role("log", name="Transcript")).to_contain_text("Thank you for", timeout=PATIENCE_MS)
    expect(panel.locator(".lanes rect").nth(1)).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.get_by_role("meter", name="Caller, dBFS")).to_have_attribute("aria-valuemin", "-60")
    tab.audit("a call, wide")
    page.get_by_label("Say to the caller").fill(LINE)
    page.keyboard.press("Enter")
    expect(panel.get_by_role("log", name="Transcript")).to_contain_text(LINE, timeout=PATIENCE_MS)
    expect(panel.locator("output")).to_have_text("The caller hears it now.", timeout=PATIENCE_MS)
    page.wait_for_timeout(3000)  # it is said to its end
    panel.get_by_role("button", name="Hang up…").click()
    dialog = page.get_by_role("dialog", name="Hang up on this caller?")
    page.keyboard.press("Enter")  # what is focused there keeps the call
    expect(dialog).to_be_hidden()
    panel.get_by_role("button", name="Hang up…").click()
    tab.audit("the question before a hang-up")
    dialog.get_by_role("button", name="Hang up", exact=True).click()
    expect(panel.get_by_text("This call is over.")).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.get_by_role("button", name="Say it")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


async def test_every_view_can_be_read_in_both_themes_narrow_or_wide(office: Office, dental: Tenant) -> None:
    await _leave_a_call(office, dental)
    async with shown(office, 12) as url:

        def walk(tab: Tab) -> None:
            page = tab.page
            tab.log_in(url, TOKEN)
            expect(page.locator(".call").first).to_be_visible()
            for name in EVERYWHERE:
                tab.go(name)
                link = page.get_by_role("navigation").get_by_role("link", name=name)
                expect(link).to_have_attribute("aria-current", "page")
                page.wait_for_timeout(300)  # what it asks for is there
                tab.audit_everywhere(name)
            tab.go("History")
            page.get_by_role("link", name="Mar 1, 2026").click()
            expect(page.get_by_text("Are you open on Sunday?")).to_be_visible()
            kind = "(node) => fetch(node.src).then((answer) => answer.headers.get('content-type'))"
            assert page.get_by_label("Message left").evaluate(kind) == "audio/wav"
            tab.audit_everywhere("a call that has ended")
            assert page.evaluate("document.documentElement.dataset.theme") == "light"
            page.get_by_role("button", name="Theme: system").click()
            page.get_by_role("button", name="Theme: light").click()
            assert page.evaluate("document.documentElement.dataset.theme") == "dark"
            page.reload()
            expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()

        await in_browser(walk, locale="en-US")


def _is_read_out_once(page: Page) -> None:
    """Somebody's clock is late, by another figure each second: to a screen reader that is one problem."""
    verdict, aloud = page.locator("#verdict"), page.locator("#say-aloud")
    expect(aloud).to_contain_text("clock is late by")
    seen, said = verdict.inner_text(), aloud.inner_text()
    expect(verdict).not_to_have_text(seen, use_inner_text=True)
    assert aloud.inner_text() == said


async def test_of_500_calls_only_those_in_sight_are_rows_of_the_page(office: Office, dental: Tenant) -> None:
    async with shown(office, 500) as url:

        def walk(tab: Tab) -> None:
            page = tab.page
            tab.log_in(url, TOKEN)
            grid = page.get_by_role("grid", name="Calls on the line")
            expect(grid).to_have_attribute("aria-rowcount", "501")
            assert page.locator(".call").count() < 60
            expect(page.locator("#verdict")).to_contain_text("25 calls on the script")
            _is_read_out_once(page)
            grid.focus()
            page.keyboard.press("End")
            last = page.get_by_role("row", name="+1 555 000 0499")
            expect(last).to_be_visible()
            assert grid.get_attribute("aria-activedescendant") == last.get_attribute("id")
            page.get_by_role("button", name="25 calls on the script").click()
            expect(grid).to_have_attribute("aria-rowcount", "26")
            expect(page.get_by_role("button", name="On the script", exact=True)).to_have_attribute(
                "aria-pressed", "true"
            )

        await in_browser(walk)
