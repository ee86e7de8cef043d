"""``frontdesk demo --stay``: the example businesses, to be called from a browser, until Ctrl-C.

Gateway, back office and a simulated carrier's REST interface in one process, on loopback. Of the model nothing is
simulated: the local voice answers, or whoever there is a key for. The back office plays the carrier of these calls
(``engine/backoffice/phone_call.py``).
"""

import secrets
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio
from pydantic import SecretStr
from rich.console import Console
from rich.panel import Panel

from engine.backoffice.app import Serving, serve_backoffice
from engine.backoffice.office import open_office
from engine.backoffice.phone_pass import new_pass
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.server.app import listen
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.serving import free_ports
from engine.sim.showcase import CachedVoice
from engine.sim.stories import Story, a_conversation, with_provider
from engine.sim.world import open_world
from engine.speech.interface import Speech
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from engine.workers.service import kept_secret

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Links:
    """The ways in: each opens once. ``token`` is for whoever comes later."""

    phone: str
    ops: str
    token: str


@asynccontextmanager
async def staying(
    settings: Settings, *, cache: VoiceCache, data_dir: Path, speech: Speech | None
) -> AsyncIterator[Links]:
    """All of it, for as long as the block.

    Args:
        settings: as the environment has them: keys of real models, the back office's port.
        speech: of the local voice; None: there is none.

    Raises:
        ConfigurationError: it cannot be set up.
    """
    stories = [_story(settings, name) for name in examples.names()]
    token = settings.admin_token or SecretStr(secrets.token_urlsafe(18))
    (ops,) = free_ports(1)
    model = SimGemini(ear=PhraseEar({}), brain=GroundedBrain(), voice=CachedVoice(cache))  # nobody asks it
    told = {"admin_token": token, "ops_bind": f"{LOOPBACK}:{ops}", "secret_key": SecretStr(kept_secret(data_dir))}
    async with open_world(
        data_dir=data_dir,
        keep=keep_in_postgres,
        tenants=[story.tenant for story in stories],
        model=model,
        speech=speech,
        **{**stories[0].settings, **told},
    ) as world:
        sees = world.settings.model_copy(update={"gateways": f"http://{LOOPBACK}:{ops}"})
        async with open_office(sees) as opened, trio.open_nursery() as nursery:
            office, shutdown = replace(opened, exchange=world.rest), trio.Event()
            listener = _listener(settings)

            async def serve(*, task_status: trio.TaskStatus[Serving]) -> None:
                await serve_backoffice(office, shutdown=shutdown, listener=listener, task_status=task_status)

            url = (await nursery.start(serve)).url
            enter = f"{url}/phone/enter"
            yield Links(
                f"{enter}#phone.{new_pass(office)}", f"{enter}#ops.{new_pass(office)}", token.get_secret_value()
            )
            nursery.cancel_scope.cancel()


async def stay(
    console: Console, settings: Settings, *, cache: VoiceCache, data_dir: Path, speech: Speech | None
) -> None:
    """The same until a signal, with the links on the terminal."""
    with console.status("opening the businesses: their lines are rendered once on this machine") as status:
        async with staying(settings, cache=cache, data_dir=data_dir, speech=speech) as links:
            status.stop()
            _show(console, links)
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break
            console.print("  closing")


def _story(settings: Settings, name: str) -> Story:
    tenant = examples.load(name)
    if settings.gemini_api_key is not None or settings.openai_api_key is not None:
        return with_provider(tenant, (), settings)
    return a_conversation(tenant, ())


def _listener(settings: Settings) -> socket.socket:
    port = settings.backoffice_bind.rpartition(":")[2]
    try:
        return listen(f"{LOOPBACK}:{port}", "FRONTDESK_BACKOFFICE_BIND")
    except ConfigurationError:
        return listen(f"{LOOPBACK}:0")  # somebody has that port: for a demo any other does as well


def _show(console: Console, links: Links) -> None:
    console.print(
        Panel(
            "Three example businesses (fictional) are open on this machine. Call them with your microphone, and watch "
            "the call from the other side: whoever answers can be heard, read and taken over there.",
            title="Frontdesk",
            border_style="dim",
        )
    )
    # Not wrapped: a link that is broken into two lines cannot be clicked.
    console.print(f"  phone  [bold]{links.phone}[/]", soft_wrap=True)
    console.print(f"  ops    [bold]{links.ops}[/]", soft_wrap=True)
    console.print(
        f"\n  Each link logs in once, within half an hour; after that with the token  {links.token}", soft_wrap=True
    )
    console.print("  Ctrl-C ends it.")
