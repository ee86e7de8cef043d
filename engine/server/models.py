"""The models that a worker offers, and who writes down what callers say: as the settings, and this machine, allow.

| model             | offered where                                                                               |
|-------------------|---------------------------------------------------------------------------------------------|
| `gemini-live`     | there is a Gemini key; a second endpoint of it as `gemini-live-backup`                        |
| `openai-realtime` | there is an OpenAI key; with an ElevenLabs key a tenant's own voice says what it writes       |
| `local`           | not switched off, its weights can be had for this platform, and a tenant lists it             |

Who listens: Gemini's transcribe model where there is a key for it, else this machine, where it can. Where only the
local model speaks, nobody: it tells what it hears by itself, and would hear everything twice.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from engine.config import Settings
from engine.errors import ConfigurationError, first_of_kind
from engine.log import get_logger
from engine.metrics import Metrics
from engine.model.elevenlabs import ElevenLabs
from engine.model.gemini_listener import GeminiListenProvider
from engine.model.gemini_live import GeminiLiveProvider
from engine.model.listener import ListenProvider
from engine.model.local import LocalProvider
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.own_voice import OwnVoiceProvider
from engine.model.provider import ModelProvider
from engine.speech import weights
from engine.speech.interface import Speech
from engine.speech.listener import LocalListenProvider
from engine.speech.pool import SpeechPool, calls_served, open_speech
from engine.tenants.tenant import Tenant

log = get_logger("server.models")


@dataclass(frozen=True, slots=True)
class Models:
    """See the module.

    Attributes:
        providers: by the name in a tenant's model order.
        listener: None: what the speaking model understands must do.
        parts: a word on what of it runs here, for the health pages.
    """

    providers: Mapping[str, ModelProvider]
    listener: ListenProvider | None
    parts: Callable[[], Mapping[str, str]] = dict


@asynccontextmanager
async def open_models(
    settings: Settings, tenants: Sequence[Tenant], metrics: Metrics, *, speech: Speech | None = None
) -> AsyncIterator[Models]:
    """Make them; whatever runs on this machine for them ends on the way out.

    Slow the first time on a machine: the local model's weights are prepared.

    Args:
        speech: of the local model, where it is not to be opened here.

    Raises:
        ConfigurationError: settings cannot be used, or the local model would be the only one and cannot be had.
    """
    remote = _gemini(settings) | _openai(settings, metrics)
    async with AsyncExitStack() as stack:
        if speech is None and _wants_local(settings, tenants):
            speech = await _local_speech(stack, settings, needed=not remote)
        local: dict[str, ModelProvider] = {"local": LocalProvider(speech)} if speech is not None else {}
        offered = remote | local
        if not offered:
            log.warning("no model is configured: every call will be served by the script alone")
        else:
            log.info("models", offered=list(offered))
        yield Models(offered, _listener(settings, speech if remote else None), _parts(speech))


def model_names(settings: Settings) -> tuple[str, ...]:
    """Those that these settings allow on this machine."""
    keys = {"gemini-live": settings.gemini_api_key, "openai-realtime": settings.openai_api_key}
    local = ("local",) if settings.local_model and weights.available() else ()
    return (*(name for name, key in keys.items() if key is not None), *local)


def _gemini(settings: Settings) -> dict[str, ModelProvider]:
    if settings.gemini_api_key is None:
        return {}
    endpoints = {"gemini-live": settings.gemini_url, "gemini-live-backup": settings.gemini_backup_url}
    return {
        name: GeminiLiveProvider(
            str(url).rstrip("/"),
            settings.gemini_api_key.get_secret_value(),
            settings.gemini_model,
            name=name,
            input_hz=settings.gemini_input_hz,
            connection_s=settings.gemini_connection_s,
        )
        for name, url in endpoints.items()
        if url is not None
    }


def _openai(settings: Settings, metrics: Metrics) -> dict[str, ModelProvider]:
    if settings.openai_api_key is None:
        return {}
    model: ModelProvider = OpenAIRealtimeProvider(
        str(settings.openai_url),
        settings.openai_api_key.get_secret_value(),
        settings.openai_model,
        transcribe_model=settings.openai_transcribe_model,
        connection_s=settings.openai_connection_s,
    )
    if settings.elevenlabs_api_key is not None:
        voices = ElevenLabs(str(settings.elevenlabs_url), settings.elevenlabs_api_key.get_secret_value())
        model = OwnVoiceProvider(
            model, voices, on_lost=lambda kind: metrics.model_lost.labels("elevenlabs", kind).inc()
        )
    return {model.name: model}


def _wants_local(settings: Settings, tenants: Sequence[Tenant]) -> bool:
    # Where no tenant is known yet, one may come that lists it: they mostly do.
    listed = not tenants or any("local" in tenant.models for tenant in tenants)
    return settings.local_model and listed and weights.available()


async def _local_speech(stack: AsyncExitStack, settings: Settings, *, needed: bool) -> Speech | None:
    """Open it; without it calls are still served as long as another model is there."""
    pool = open_speech(settings.data_dir, processes=settings.local_processes, calls=_places(settings))
    speech: Speech | None = None
    cannot: ConfigurationError | None = None
    try:
        speech = await stack.enter_async_context(pool)
    except* ConfigurationError as group:
        cannot = first_of_kind(group, ConfigurationError)
    if cannot is not None and needed:
        raise cannot
    if cannot is not None:
        log.error("the local model cannot be had: the script takes its place", detail=str(cannot))
    return speech


def _listener(settings: Settings, speech: Speech | None) -> ListenProvider | None:
    if settings.gemini_api_key is None:
        return LocalListenProvider(speech, most=max(1, _places(settings) // 2)) if speech is not None else None
    if settings.gemini_transcribe_model == "off":
        return None
    url = str(settings.gemini_transcribe_url or settings.gemini_url).rstrip("/")
    key = settings.gemini_api_key.get_secret_value()
    return GeminiListenProvider(url, key, settings.gemini_transcribe_model, input_hz=settings.gemini_input_hz)


def _places(settings: Settings) -> int:
    return settings.local_calls or calls_served(settings.local_processes)


def _parts(speech: Speech | None) -> Callable[[], Mapping[str, str]]:
    if not isinstance(speech, SpeechPool):
        return dict

    def look() -> Mapping[str, str]:
        now = speech.statistics()
        return {"speech": "away" if not now.processes else "full" if now.calls >= now.places else "ok"}

    return look
