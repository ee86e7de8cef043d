"""The browser phone in a browser: a conversation through its microphone and loudspeaker, and what the page shows."""

import ssl
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import trio
import trustme
from playwright.sync_api import expect

from engine.audio import g711
from engine.backoffice.office import Office
from engine.backoffice.phone_pass import new_pass
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.backoffice.browser import PATIENCE_MS, Tab
from tests.backoffice.many_calls import shown
from tests.backoffice.phoning import phoning
from tests.backoffice.test_ops_browser import in_browser
from tests.backoffice.wire import Wire
from tests.calls import PARKING, phrases

pytestmark = pytest.mark.real_time

QUIET_S = 7.0  # the greeting is over
DEVICE = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"
ALL_CODES = """async () => {
  const { encode, DECODED } = await import("/static/phone/mulaw.js");
  const samples = Array.from({ length: 65536 }, (_, i) => i - 32768);
  return [samples.map((x) => encode(x / 32767)), Array.from(DECODED, (x) => Math.round(x * 32768))];
}"""
ADDRESSES = """async () => {
  const { address } = await import("/static/phone/line.js");
  return ["http://desk:81/phone", "https://desk/phone"].map((page) => address("/phone/line/x", new URL(page)));
}"""
# A tone, brought from the page's rate to the line's: what of it is left, in dB.
LEFT_OF = """async (hz) => {
  const { at, table } = await import("/static/phone/filter.js");
  const [rate, half] = [44100, 159];
  const tone = Float32Array.from({ length: rate }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
  const rows = table(3650 / rate, half);
  let [power, n] = [0, 0];
  for (let from = 0; from + 2 * half < tone.length; from += rate / 8000, n++) {
    power += at(rows, tone, Math.floor(from), from - Math.floor(from)) ** 2;
  }
  return 10 * Math.log10((2 * power) / n);
}"""


@pytest.fixture
async def wires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Wire]]:
    """Before the back office, and before the gateway: each a proxy that speaks TLS, at an origin of its own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))  # as a system's own would be trusted
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with trio.open_nursery() as nursery:
        both = [Wire(tls=tls), Wire(tls=tls)]
        for wire in both:
            await nursery.start(wire.serve)
        yield both
        nursery.cancel_scope.cancel()


def microphone(path: Path, speech: VoiceCache) -> str:
    """What the browser's microphone hears: nothing, then a question, then nothing more."""
    question = g711.decode(phrases(speech)[PARKING].mulaw)
    quiet = np.zeros(int(QUIET_S * 8000), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.concatenate((quiet, question, np.zeros(80_000, np.int16))).astype("<i2").tobytes())
    return f"--use-file-for-fake-audio-capture={path}%noloop"


def _broken(tab: Tab, pages: Wire, gateways: Wire) -> None:
    """The page's own way breaks, and then the stream of its call: it stays on the line, and its captions stay."""
    phone = tab.page.get_by_role("region", name="Phone")
    captions = tab.page.get_by_role("log", name="Captions")
    trio.from_thread.run_sync(pages.cut)
    expect(phone.get_by_text("Your connection broke, and is up again.")).to_be_visible(timeout=PATIENCE_MS)
    expect(phone.get_by_text("On the line with Harbor Dental")).to_be_visible()
    trio.from_thread.run_sync(gateways.cut)
    expect(phone.get_by_text("The line to the gateway broke, and is up again")).to_be_visible(timeout=PATIENCE_MS)
    expect(phone.get_by_text("On the line with Harbor Dental")).to_be_visible()
    expect(captions).to_contain_text("I lost you for a second", timeout=PATIENCE_MS)
    expect(captions).to_contain_text(PARKING)
    tab.complaints[:] = [one for one in tab.complaints if "ERR_CONNECTION_RESET" not in one]  # said by the browser


async def test_a_conversation_is_held_and_read_over_tls(
    url: str, tmp_path: Path, speech: VoiceCache, wires: list[Wire]
) -> None:
    file = microphone(tmp_path / "question.wav", speech)
    pages, gateways = wires
    async with phoning(url, tmp_path, speech, wire=gateways) as exchange:
        pages.to = ("127.0.0.1", int(exchange.url.rpartition(":")[2]))
        link = f"{pages.url}/phone/enter#phone.{new_pass(exchange.office)}"
        store = exchange.world.composed.store
        before = {end.call_sid for end in await store.calls(exchange.tenant.id)}  # other tests keep theirs there too

        def walk(tab: Tab) -> None:
            page = tab.page
            dialled: list[str] = []
            page.on("websocket", lambda socket: dialled.append(socket.url))
            page.goto(link)
            page.get_by_role("button", name="Call", exact=True).click()
            phone = page.get_by_role("region", name="Phone")
            expect(phone.get_by_text("On the line with Harbor Dental")).to_be_visible(timeout=PATIENCE_MS)
            captions = page.get_by_role("log", name="Captions")
            expect(captions).to_contain_text("Thank you for calling", timeout=PATIENCE_MS)
            # The page plays it: the agent's meter moves, and its marks come back, without which nothing was heard.
            expect(captions).to_contain_text(PARKING, timeout=PATIENCE_MS)
            expect(captions.locator('li[data-role="agent"]')).to_have_count(2, timeout=PATIENCE_MS)
            expect(page.locator(".sources").first).to_contain_text("arking")
            expect(page.locator(".lanes rect").nth(3)).to_be_visible()
            _broken(tab, pages, gateways)
            assert {url.rpartition("/")[0] for url in dialled} == {f"wss://127.0.0.1:{pages.port}/phone/line"}
            assert len(dialled) == 2
            assert page.evaluate(ADDRESSES) == ["ws://desk:81/phone/line/x", "wss://desk/phone/line/x"]
            page.keyboard.press("5")
            page.keyboard.press("m")
            expect(phone.get_by_role("button", name="Unmute")).to_have_attribute("aria-pressed", "true")
            tab.audit_everywhere("on the line")
            phone.get_by_role("button", name="Hang up").click()
            expect(phone.get_by_text("You hung up.")).to_be_visible(timeout=PATIENCE_MS)
            expect(phone.get_by_role("button", name="Call again")).to_be_focused()
            tab.audit_everywhere("a call that is over")
            codes, decoded = page.evaluate(ALL_CODES)
            linear = np.arange(-32768, 32768).astype(np.int16)
            assert decoded == g711.decode(bytes(range(256))).tolist()
            ours = g711.decode(bytes(codes)).astype(int)
            assert np.max(np.abs(ours - g711.decode(g711.encode(linear)).astype(int))) <= 1024  # next door, at most
            assert np.count_nonzero(ours != g711.decode(g711.encode(linear)).astype(int)) < 600
            assert [page.evaluate(LEFT_OF, hz) > -1 for hz in (300, 1000, 3300)] == [True] * 3
            assert [page.evaluate(LEFT_OF, hz) < -50 for hz in (4500, 6000, 12000)] == [True] * 3

        await in_browser(walk, args=[DEVICE, ALLOWED, file], permissions=["microphone"], ignore_https_errors=True)
        with trio.fail_after(20):
            while not (ends := [one for one in await store.calls(exchange.tenant.id) if one.call_sid not in before]):
                await trio.sleep(0.1)
    (end,) = ends
    assert [one["facts"]["attempt"] for one in end.document["timeline"] if one["kind"] == "line"] == [0, 1]
    assert end.outcome_reason == "caller_hung_up"
    assert [line["role"] for line in end.document["transcript"]][:3] == ["agent", "caller", "agent"]


async def test_what_is_missing_is_said_on_the_page(office: Office, dental: Tenant) -> None:
    async with shown(office, 0) as url:
        link = f"{url}/phone/enter#phone.{new_pass(office)}"

        def walk(tab: Tab) -> None:
            page = tab.page
            page.goto(link)
            expect(page.get_by_role("alert")).to_contain_text("FRONTDESK_TWILIO_AUTH_TOKEN")
            expect(page.get_by_role("button", name="Call", exact=True)).to_be_disabled()
            expect(page.get_by_role("log", name="Captions")).to_contain_text("FRONTDESK_GATEWAYS")
            tab.audit_everywhere("not set up")
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_label("Operator token or tenant key")).to_be_focused()
            page.goto(link)
            expect(page.get_by_label("Operator token or tenant key")).to_be_visible()  # the link was used

        await in_browser(walk)


@pytest.mark.parametrize(
    ("args", "said"),
    [([], "No microphone was found"), ([DEVICE, "--deny-permission-prompts"], "may not use the microphone")],
    ids=["no microphone", "not allowed"],
)
async def test_without_a_microphone_nobody_is_called(
    url: str, tmp_path: Path, speech: VoiceCache, args: list[str], said: str
) -> None:
    async with phoning(url, tmp_path, speech) as exchange:
        link = f"{exchange.url}/phone/enter#phone.{new_pass(exchange.office)}"

        def walk(tab: Tab) -> None:
            tab.page.goto(link)
            tab.page.get_by_role("button", name="Call", exact=True).click()
            expect(tab.page.get_by_role("alert")).to_contain_text(said)
            expect(tab.page.get_by_role("button", name="Call", exact=True)).to_be_enabled()

        await in_browser(walk, args=args, permissions=["microphone"] if not args else [])
        assert exchange.world.composed.switchboard.statistics().calls_now == 0
