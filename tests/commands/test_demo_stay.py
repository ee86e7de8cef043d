"""``frontdesk demo --stay`` as a process: its two links, a conversation over the phone's own line, and its end."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import trio

from engine.audio import g711
from engine.sim.brain import GroundedBrain
from engine.sim.gemini import SimGemini
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from tests.backoffice.phoning import PAGE, on_the_line
from tests.calls import PARKING, InlineVoice, cache_dir, phrase_ear, phrases

pytestmark = pytest.mark.real_time

STAY = (sys.executable, "-m", "engine", "demo", "--stay")
PATIENCE_S = 90.0  # a slow machine renders three businesses' lines first
GREETED_S = 4.0  # of silence: the greeting is over
LOUD = 500
KEEPER_S = 5.0  # the database's keeper sees the last of us leave, and goes after it
HARBOR = examples.load("harbor-dental")


@dataclass(frozen=True, slots=True)
class Staying:
    """The process, and what it printed."""

    process: trio.Process
    links: dict[str, str]

    @property
    def url(self) -> str:
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.links["phone"]))


@asynccontextmanager
async def staying(home: Path, speech: VoiceCache) -> AsyncIterator[Staying]:
    """The demo in a process group of its own, with a simulated provider behind a key: nothing is prepared for minutes.

    What it does when it is asked to end is the test's to see.
    """
    rendered = home / "data" / "demo" / "voice"
    rendered.parent.mkdir(parents=True)
    rendered.symlink_to(cache_dir(speech) / "voice")
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("FRONTDESK_")}
    model = SimGemini(ear=phrase_ear(speech), brain=GroundedBrain(), voice=InlineVoice(speech))
    ear = SimGemini(ear=model.ear, brain=GroundedBrain())
    async with trio.open_nursery() as nursery:
        told = {
            "DATA_DIR": str(home / "data"),
            "BACKOFFICE_BIND": "127.0.0.1:0",
            "LOCAL_MODEL": "false",
            "EMBEDDINGS": "offline",
            "GEMINI_API_KEY": "a-simulated-key",
            "GEMINI_URL": await nursery.start(model.serve),
            "GEMINI_TRANSCRIBE_URL": await nursery.start(ear.serve),
        }
        process = await trio.lowlevel.open_process(
            STAY,
            cwd=home,
            env=others | {f"FRONTDESK_{name}": value for name, value in told.items()},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            with trio.fail_after(PATIENCE_S):
                yield Staying(process, await _links(process))
        finally:
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                assert process.stdout is not None
                await process.stdout.aclose()
        nursery.cancel_scope.cancel()


async def _links(process: trio.Process) -> dict[str, str]:
    """``phone``, ``ops`` and ``token``, once it has said that Ctrl-C ends it."""
    assert process.stdout is not None
    said = ""
    while "Ctrl-C ends it." not in said:
        more = await process.stdout.receive_some()
        assert more, f"it ended: {said}"
        said += more.decode()
    links = dict(re.findall(r"^ +(phone|ops) +(\S+)$", said, re.MULTILINE))
    (token,) = re.findall(r"with the token +(\S+)$", said, re.MULTILINE)
    return links | {"token": token}


def left_of(staying: Staying, home: Path) -> list[str]:
    """Command lines of processes that are the demo's: of its session, or at work in its directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended meanwhile
        if state != "Z" and (int(session) == staying.process.pid or str(home) in line):
            found.append(line)
    return found


def voiced_s(mulaw: bytearray) -> float:
    """Seconds' worth of samples that are no silence."""
    return float(np.count_nonzero(np.abs(g711.decode(bytes(mulaw))) > LOUD) / g711.SAMPLE_RATE_HZ)


async def test_its_links_open_a_phone_that_is_answered_until_it_is_interrupted(
    tmp_path: Path, speech: VoiceCache
) -> None:
    async with staying(tmp_path, speech) as demo:
        assert left_of(demo, tmp_path) != []
        async with httpx.AsyncClient(base_url=demo.url, headers=PAGE, trust_env=False) as page:
            await _enter(page, demo)
            rung = (await page.post("/phone/calls", json={"tenant_id": HARBOR.id, "caller": "+15550100199"})).json()
            async with on_the_line(demo.url, rung["line"], page) as phone:
                await phone.until("mark")
                await trio.sleep(GREETED_S)
                phone.to_say += phrases(speech)[PARKING].mulaw
                greeted = len(phone.heard)
                assert "Parking is free" in await _answered(page, rung["call_sid"])
                assert voiced_s(phone.heard[:greeted]) > 1
                assert voiced_s(phone.heard[greeted:]) > 1
                demo.process.send_signal(signal.SIGINT)  # in mid-call
                assert await demo.process.wait() == 0
        with trio.move_on_after(KEEPER_S):
            while left_of(demo, tmp_path):
                await trio.sleep(0.1)
        assert left_of(demo, tmp_path) == []


async def _enter(page: httpx.AsyncClient, demo: Staying) -> None:
    """Through both links, as a browser goes."""
    for name in ("phone", "ops"):
        link = urlsplit(demo.links[name])
        to, _, token = link.fragment.partition(".")
        assert to == name
        assert (await page.get(link.path)).status_code == 200
        page.cookies.clear()
        assert (await page.get("/ops/me")).status_code == 401
        assert (await page.post("/phone/login", json={"token": token})).status_code == 204
        assert (await page.get("/ops/me")).json()["name"] == "operator"
        shown = await page.get(f"/{name}")
        assert "text/html" in shown.headers["content-type"]
        assert f"<title>Frontdesk {name}</title>" in shown.text
    assert (await page.post("/ops/login", json={"token": demo.links["token"]})).status_code == 204
    setup = (await page.get("/phone/setup")).json()
    assert (setup["trouble"], setup["captions"]) == ("", True)
    assert {one["id"] for one in setup["tenants"]} == set(examples.names())


async def _answered(page: httpx.AsyncClient, sid: str) -> str:
    """The agent's answer to the question, as the ops page would show it."""
    while True:
        live = (await page.get(f"/v1/tenants/{HARBOR.id}/live/calls/{sid}")).json()
        said = [one["text"] for one in live["timeline"] if one["kind"] == "agent"]
        if PARKING in [one["text"] for one in live["timeline"] if one["kind"] == "caller"] and len(said) > 1:
            return str(said[-1])
        await trio.sleep(0.5)
