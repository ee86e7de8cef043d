"""``frontdesk demo``: one call on this machine, without a key, that a newcomer can watch, hear, read and talk to."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import click
import orjson
import trio
from rich.console import Console

from engine import log
from engine.audio.wav import write_stereo
from engine.commands.demo_stay import stay
from engine.commands.demo_view import DemoView, Progress
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.sim.recording import read_utterances
from engine.sim.scenario import Clip
from engine.sim.showcase import Shown, run_showcase
from engine.sim.showcase_checks import failures
from engine.sim.stories import TO_ANYBODY, Story, a_conversation, spoken, the_tour, with_provider
from engine.speech import weights
from engine.speech.interface import Speech
from engine.speech.pool import open_speech
from engine.tenants import examples
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache

TENANT = "harbor-dental"


@click.command()
@click.option("--say", "says", multiple=True, metavar="TEXT", help="Say this as the caller; may be given repeatedly.")
@click.option(
    "--wav",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Play this recording as the caller, utterance by utterance: 16-bit WAV of 8, 16, 24, 44.1 or 48 kHz.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-out"), show_default=True)
@click.option(
    "--stay", "stays", is_flag=True, help="No call of ours: stay up, and be called from a browser, until Ctrl-C."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all the simulators' dice.")
def demo(*, says: tuple[str, ...], wav: Path | None, as_json: bool, out: Path, stays: bool, seed: int) -> None:
    """Place one call to an example business and show it: asked, booked, cut off, rescued, asked again.

    Without a key a simulated model begins and is lost, and the local voice takes over; with --say or --wav the local
    voice has the call to itself. Where the environment has the key of a real model, that one answers.

    Leaves call.wav (caller left, agent right), transcript.txt and report.json in the --out directory. Ends by itself;
    exit status 0 only if the call did all it should. With --stay the caller is you: it prints a link to a page with a
    telephone, and one to the operator's side of it.
    """
    if stays and (says or wav is not None or as_json):
        raise click.UsageError("with --stay you are the caller: leave --say, --wav and --json away")
    if says and wav is not None:
        raise click.UsageError("--say and --wav cannot both be the caller: give one of them")
    log.configure("ERROR", pretty=not as_json)
    settings = Settings.read()
    console = Console(stderr=as_json, quiet=as_json, highlight=False)
    cache = VoiceCache(settings.data_dir / "demo" / "voice")
    if stays:
        trio.run(_stay, settings, console, cache)
        return
    story = _story(settings, cache, examples.load(TENANT), says, wav)
    view = DemoView(console, story)
    view.begin()
    out.mkdir(parents=True, exist_ok=True)

    async def run() -> Shown:
        with view.progress() as progress:
            opened = _open_speech(settings, progress)
            async with opened as speech:
                progress.done()
                return await run_showcase(
                    story,
                    cache=cache,
                    data_dir=settings.data_dir / "demo",
                    speech=speech,
                    seed=seed,
                    observe=view.show,
                )

    shown = trio.run(run)
    failed = failures(shown)
    _leave(shown, out)
    if as_json:
        sys.stdout.write((out / "report.json").read_text("utf-8"))
        for failure in failed:
            click.echo(f"demo: {failure}", err=True)
    else:
        view.end(shown, failed, out)
    sys.exit(1 if failed else 0)


def _story(settings: Settings, cache: VoiceCache, tenant: Tenant, says: tuple[str, ...], wav: Path | None) -> Story:
    asks: tuple[Clip, ...] = ()
    if wav is not None:
        asks = read_utterances(wav)
    elif says:
        asks = spoken(cache, _sayable(says))
    if _has_a_key(settings):
        return with_provider(tenant, asks or spoken(cache, TO_ANYBODY), settings)
    _need_the_local_voice(settings)
    return a_conversation(tenant, asks) if asks else the_tour(tenant, cache)


def _has_a_key(settings: Settings) -> bool:
    return settings.gemini_api_key is not None or settings.openai_api_key is not None


def _need_the_local_voice(settings: Settings) -> None:
    if not weights.available() or not settings.local_model:
        raise ConfigurationError(
            "without a key the demo is answered by the local voice, which is "
            + ("switched off: unset FRONTDESK_LOCAL_MODEL" if weights.available() else "not made for this platform")
            + ", or set FRONTDESK_GEMINI_API_KEY or FRONTDESK_OPENAI_API_KEY"
        )


async def _stay(settings: Settings, console: Console, cache: VoiceCache) -> None:
    if not _has_a_key(settings):
        _need_the_local_voice(settings)
    with console.status("starting the local voice") as status:
        async with _open_speech(settings, Progress(status)) as speech:
            status.stop()
            await stay(console, settings, cache=cache, data_dir=settings.data_dir / "demo", speech=speech)


def _sayable(says: tuple[str, ...]) -> tuple[str, ...]:
    if any(not text.strip() for text in says):
        raise ConfigurationError("--say was given nothing to say: write some English words")
    return says


@asynccontextmanager
async def _open_speech(settings: Settings, progress: Progress) -> AsyncIterator[Speech | None]:
    """The local voice, where this machine can have it."""
    if not weights.available() or not settings.local_model:
        yield None
        return
    on_progress: Callable[[float], None] = progress.prepared
    async with open_speech(settings.data_dir, processes=settings.local_processes, on_progress=on_progress) as speech:
        yield speech


def _leave(shown: Shown, out: Path) -> None:
    write_stereo(out / "call.wav", shown.phone.left, shown.phone.right)
    transcript = shown.end.document["transcript"] if shown.end else []
    (out / "transcript.txt").write_text("".join(f"{line['role']:>6}  {line['text']}\n" for line in transcript), "utf-8")
    (out / "report.json").write_bytes(orjson.dumps(shown.report, option=orjson.OPT_INDENT_2) + b"\n")
