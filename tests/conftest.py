"""Fixtures that more than one room uses."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from xdist.scheduler import LoadScopeScheduling

from engine import log
from engine.speech import weights
from engine.speech.inline import InlineSpeech
from engine.voice.cache import VoiceCache
from tests import thrift

RENDERED = Path(__file__).parents[1] / ".cache" / "test-voice"
# Of those in real time, the ones with many processes, sound in a browser, or a database that goes away under calls:
# never two of them at once.
HEAVY = "heavy"
HEAVY_FILES = (
    "adversity/test_workers.py",
    "backoffice/test_ops_browser.py",
    "backoffice/test_phone_browser.py",
    "commands/test_loadtest.py",
    "postgres/test_calls_outage.py",
    "postgres/test_start_without_database.py",
    "postgres/test_store_faults.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    thrift.collect_garbage_less_often()
    parser.addoption("--long", action="store_true", help="every repetition in full, as many as are promised anywhere")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only those in real time are asked for, do not import what has none: that would be half of their time."""
    if config.option.markexpr != "real_time" or not collection_path.match("test_*.py"):
        return None
    return True if "real_time" not in collection_path.read_text("utf-8") else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Who runs which tests in real time, where several processes do; else xdist's own choice."""
    return _ByFile(config, log) if config.option.markexpr == "real_time" else None


class _ByFile(LoadScopeScheduling):  # type: ignore[misc, no-any-unimported]  # xdist has no type information
    """A file's tests stay in one process, and so do those of all heavy files, which begin first."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # the first file is one of them
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return HEAVY if file.endswith(HEAVY_FILES) else file


def pytest_collection_finish() -> None:
    thrift.forget_what_stays()


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Is every repetition wanted in full?"""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session", autouse=True)
def _quiet_logs() -> None:
    log.configure("CRITICAL")


@pytest.fixture(scope="session", autouse=True)
def _thrift() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        thrift.apply(patch)
        yield


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> VoiceCache:
    """Real speech, rendered once per machine: prompts, callers and the simulated model all speak from here.

    The folder that ``voice`` lies in is this process's own: a gateway's data directory.
    """
    RENDERED.mkdir(parents=True, exist_ok=True)
    directory: Path = tmp_path_factory.mktemp("data") / "voice"
    directory.symlink_to(RENDERED)
    return VoiceCache(directory)


@pytest.fixture(scope="session")
def speech_weights(speech: VoiceCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recogniser's weights, converted once per run for all of its processes, and found in ``speech``'s directory.

    What needs them is skipped where this platform has none.
    """
    if not weights.available():
        pytest.skip("no package with weights for this platform")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    made: Path = trio.run(weights.prepare, shared)
    (speech._directory.parent / weights.FOLDER).symlink_to(shared / weights.FOLDER)
    return made


@pytest.fixture(scope="session")
def inline_speech(speech: VoiceCache, speech_weights: Path) -> InlineSpeech:
    """Real recognition and the real voice, in the test's own thread: for virtual time."""
    return InlineSpeech.load(speech_weights, speech.mulaw)
