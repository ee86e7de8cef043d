"""Which models a worker offers, and who listens: by its settings, its tenants and what this machine can."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.config import Settings
from engine.errors import ConfigurationError
from engine.metrics import Metrics
from engine.model.gemini_listener import GeminiListenProvider
from engine.model.listener import ListenProvider
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.own_voice import OwnVoiceProvider
from engine.server import models
from engine.server.models import model_names, open_models
from engine.speech import weights
from engine.speech.listener import LocalListenProvider
from engine.speech.pool import calls_served
from engine.tenants.tenant import Tenant

LISTS_LOCAL = Tenant(id="acme", name="Acme", greeting="Hi.")
LISTS_ANOTHER = Tenant(id="bakery", name="Bakery", greeting="Hello.", models=("gemini-live",))
GEMINI = {"gemini_api_key": "key"}
OPENAI = {"openai_api_key": "key"}


class NoSpeech:
    """Speech that nobody uses."""

    @contextmanager
    def admit(self) -> Any:
        yield

    async def recognise(self, mulaw: bytes) -> str:
        await trio.lowlevel.checkpoint()
        return ""

    async def say(self, text: str) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""


@dataclass
class Pool:
    """Stands in for the speech processes."""

    cannot: ConfigurationError | None = None
    opened: list[dict[str, Any]] = field(default_factory=list)
    now_open: int = 0

    def is_open(self) -> bool:
        return self.now_open > 0

    @asynccontextmanager
    async def open(self, data_dir: Path, **wanted: Any) -> AsyncIterator[NoSpeech]:
        self.opened.append({"data_dir": data_dir, **wanted})
        async with trio.open_nursery():
            if self.cannot is not None:
                raise self.cannot
            self.now_open += 1
            yield NoSpeech()
            self.now_open -= 1


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr(models, "open_speech", made.open)
    monkeypatch.setattr(weights, "available", lambda: True)
    return made


def settings(**told: Any) -> Settings:
    return Settings(**told)


@pytest.mark.parametrize(
    ("told", "offered"),
    [
        ({}, ["local"]),
        (GEMINI, ["gemini-live", "local"]),
        (GEMINI | {"gemini_backup_url": "wss://elsewhere.example.com"}, ["gemini-live", "gemini-live-backup", "local"]),
        (OPENAI, ["openai-realtime", "local"]),
        (GEMINI | OPENAI, ["gemini-live", "openai-realtime", "local"]),
        (GEMINI | OPENAI | {"local_model": False}, ["gemini-live", "openai-realtime"]),
        ({"local_model": False}, []),
    ],
)
async def test_what_there_is_a_key_for_is_offered_and_the_local_model_besides(
    told: dict[str, Any], offered: list[str], pool: Pool
) -> None:
    async with open_models(settings(**told), [LISTS_LOCAL], Metrics()) as made:
        assert list(made.providers) == offered
        assert all(provider.name == name for name, provider in made.providers.items())
    assert list(model_names(settings(**told))) == [name for name in offered if name != "gemini-live-backup"]


async def test_the_local_model_is_opened_as_told_and_ends_last(pool: Pool, tmp_path: Path) -> None:
    told = settings(data_dir=tmp_path, local_processes=3)
    async with open_models(told, [LISTS_ANOTHER, LISTS_LOCAL], Metrics()):
        assert pool.is_open()
    assert not pool.is_open()
    assert pool.opened == [{"data_dir": tmp_path, "processes": 3, "calls": calls_served(3)}]
    async with open_models(settings(local_calls=5), [LISTS_LOCAL], Metrics()):
        assert pool.opened[-1]["calls"] == 5


async def test_the_local_model_is_not_opened_for_tenants_that_do_not_list_it(pool: Pool) -> None:
    async with open_models(settings(**GEMINI), [LISTS_ANOTHER], Metrics()) as made:
        assert "local" not in made.providers
    async with open_models(settings(**GEMINI), [], Metrics()) as made:
        assert "local" in made.providers, "one that does may be imported yet"
    assert len(pool.opened) == 1


async def test_the_local_model_is_not_opened_where_it_cannot_be_had(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "available", lambda: False)
    async with open_models(settings(), [LISTS_LOCAL], Metrics()) as made:
        assert made.providers == {}
    assert pool.opened == []
    assert model_names(settings()) == ()


async def test_a_local_model_that_fails_to_open_refuses_the_start_only_where_it_is_the_only_one(pool: Pool) -> None:
    pool.cannot = ConfigurationError("no room")
    async with open_models(settings(**OPENAI), [LISTS_LOCAL], Metrics()) as made:
        assert list(made.providers) == ["openai-realtime"]
        assert made.listener is None
    with pytest.raises(ConfigurationError, match="no room"):
        async with open_models(settings(), [LISTS_LOCAL], Metrics()):
            raise AssertionError("it was not to start")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (GEMINI, GeminiListenProvider),
        (GEMINI | OPENAI, GeminiListenProvider),
        (GEMINI | {"gemini_transcribe_model": "off"}, type(None)),
        (OPENAI, LocalListenProvider),
        (OPENAI | {"local_model": False}, type(None)),
        ({}, type(None)),
    ],
    ids=["Gemini", "both", "switched off", "OpenAI", "OpenAI alone", "the local model tells it by itself"],
)
async def test_who_listens(told: dict[str, Any], kind: type[ListenProvider | None], pool: Pool) -> None:
    async with open_models(settings(**told), [LISTS_LOCAL], Metrics()) as made:
        assert type(made.listener) is kind


async def test_a_voice_of_the_tenants_own_stands_beside_openais_model_where_there_is_a_key(pool: Pool) -> None:
    async with open_models(settings(**OPENAI, elevenlabs_api_key="key"), [LISTS_LOCAL], Metrics()) as made:
        assert isinstance(made.providers["openai-realtime"], OwnVoiceProvider)
    async with open_models(settings(**OPENAI), [LISTS_LOCAL], Metrics()) as made:
        assert isinstance(made.providers["openai-realtime"], OpenAIRealtimeProvider)
    async with open_models(settings(elevenlabs_api_key="key"), [LISTS_LOCAL], Metrics()) as made:
        assert list(made.providers) == ["local"]


async def test_speech_that_is_handed_in_is_used_and_none_is_opened(pool: Pool) -> None:
    async with open_models(settings(local_model=False), [LISTS_ANOTHER], Metrics(), speech=NoSpeech()) as made:
        assert list(made.providers) == ["local"]
    assert pool.opened == []
