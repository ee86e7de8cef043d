"""Every tenant's lines as sound, in memory before a call is answered.

Two halves: ``prepare`` is slow (it renders what is new and reads the rest) and belongs to set-up; ``for_tenant`` is a
dictionary look-up and belongs to a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from engine.audio import g711
from engine.errors import ConfigurationError, MisuseError
from engine.fallback.script import Say
from engine.fallback.steps import Line
from engine.log import get_logger
from engine.tenants.tenant import Script, Tenant
from engine.voice.languages import check_language, primary, supported

BYTES_PER_SECOND = 8000

_TONE_HZ = 440.0
_TONE_S = 0.3
_TONE_LEVEL = 10 ** (-15 / 20)  # somewhat louder than speech, well below what a network limits
_TONE_EDGE_S = 0.01  # faded in and out: an abrupt edge clicks

# Without these the script could not do what it announces. The others may be blank: then they are left out.
_MAY_BE_BLANK = frozenset({"offer_person", "back", "filler"})

_OUR_LANGUAGE = "en-US"
_OUR_LINES = frozenset(
    line for lines in Script().model_dump().values() for line in ([lines] if isinstance(lines, str) else lines)
)

log = get_logger("fallback.prompts")


@dataclass(frozen=True, slots=True)
class Prompts:
    """One tenant's lines as mu-law at 8 kHz; fields are named as in the tenant's document.

    Attributes:
        fillers: what is said while a tool runs, by its text.
    """

    greeting: bytes
    apology: bytes
    company: tuple[bytes, ...]
    offer: bytes
    offer_person: bytes
    message_prompt: bytes
    message_kept: bytes
    message_empty: bytes
    connecting: bytes
    no_person: bytes
    goodbye: bytes
    back: bytes
    filler: bytes
    tone: bytes
    fillers: Mapping[str, bytes]

    def sound(self, say: Say) -> bytes:
        """What to play for a line of the script."""
        if say.line is Line.COMPANY:
            return self.company[say.variant]
        sound: bytes = getattr(self, say.line.value)
        return sound

    def seconds(self, say: Say) -> float:
        """How long that takes."""
        return len(self.sound(say)) / BYTES_PER_SECOND


def line_text(tenant: Tenant, say: Say) -> str:
    """The words of a line; empty for the tone."""
    match say.line:
        case Line.TONE:
            return ""
        case Line.GREETING:
            return tenant.opening_words
        case Line.COMPANY:
            return tenant.script.company[say.variant]
        case line:
            text: str = getattr(tenant.script, line.value)
            return text


class LineCache(Protocol):
    """Where rendered lines come from: ``voice.cache.VoiceCache``."""

    def mulaw(self, text: str, *, language: str = "en-US") -> bytes:
        """Mu-law at 8 kHz; slow."""


@dataclass(frozen=True, slots=True)
class LibraryStatistics:
    """What is held in memory."""

    tenants: int
    seconds: float


class PromptLibrary:
    """Prompts by tenant."""

    def __init__(self, cache: LineCache) -> None:
        self._cache = cache
        self._tone = make_tone()
        self._prepared: dict[str, tuple[tuple[object, ...], Prompts]] = {}

    def prepare(self, tenant: Tenant) -> None:
        """Have this tenant's lines ready; slow, so at set-up and through ``trio.to_thread``. Safe to repeat.

        Calls that hold the tenant's former prompts keep them to their end.

        Raises:
            ConfigurationError: a line is blank that may not be, or cannot be spoken.
        """
        wording = (tenant.language, tenant.opening_words, tenant.script, tuple(tool.filler for tool in tenant.tools))
        held = self._prepared.get(tenant.id)
        if held is None or held[0] != wording:
            self._prepared[tenant.id] = (wording, self._render(tenant))

    def for_tenant(self, tenant: Tenant) -> Prompts:
        """Its prompts, at once.

        Raises:
            MisuseError: this tenant was never prepared.
        """
        held = self._prepared.get(tenant.id)
        if held is None:
            raise MisuseError(f"no prompts were prepared for tenant {tenant.id}")
        return held[1]

    def statistics(self) -> LibraryStatistics:
        """How much is held."""
        held = [prompts for _, prompts in self._prepared.values()]
        return LibraryStatistics(len(held), sum(map(_size, held)) / BYTES_PER_SECOND)

    def _render(self, tenant: Tenant) -> Prompts:
        script = tenant.script
        try:
            check_language(tenant.language)
        except ConfigurationError as error:
            # No document like that is taken in, but one may be there; an English voice is better than none.
            log.warning("a tenant's prompts are said in English", tenant_id=tenant.id, detail=str(error))
        if not script.company:
            raise ConfigurationError(f"tenant {tenant.id}: script.company needs at least one line")
        lines = {name: self._line(tenant, name, getattr(script, name)) for name in _single_lines()}
        return Prompts(
            greeting=self._line(tenant, "greeting", tenant.opening_words),
            company=tuple(self._line(tenant, "company", text) for text in script.company),
            tone=self._tone,
            fillers={
                tool.filler: self._line(tenant, "filler", tool.filler) for tool in tenant.tools if tool.filler.strip()
            },
            **lines,
        )

    def _line(self, tenant: Tenant, name: str, text: str) -> bytes:
        if not text.strip() and name not in _MAY_BE_BLANK:
            raise ConfigurationError(f"tenant {tenant.id}: {name} is blank; write what the caller shall hear")
        try:
            return self._cache.mulaw(text, language=language_of(tenant, text))
        except ConfigurationError as error:
            raise ConfigurationError(f"tenant {tenant.id}: {name}: {error}") from error


def language_of(tenant: Tenant, text: str) -> str:
    """A line that the document leaves as it is is English, whatever the tenant speaks."""
    is_ours = text in _OUR_LINES and text != tenant.opening_words
    return _OUR_LANGUAGE if is_ours or primary(tenant.language) not in supported() else tenant.language


def make_tone() -> bytes:
    """The beep before a message: 0.3 s of 440 Hz as mu-law."""
    at = np.arange(round(_TONE_S * BYTES_PER_SECOND)) / BYTES_PER_SECOND
    edge = np.clip(np.minimum(at, _TONE_S - at) / _TONE_EDGE_S, 0.0, 1.0)
    wave = _TONE_LEVEL * edge * np.sin(2 * np.pi * _TONE_HZ * at)
    return g711.encode((wave * 32767).astype(np.int16))


def _single_lines() -> list[str]:
    return [field.name for field in fields(Prompts) if field.name not in {"greeting", "company", "tone", "fillers"}]


def _size(prompts: Prompts) -> int:
    parts = [getattr(prompts, field.name) for field in fields(Prompts) if field.name != "fillers"]
    sounds = [part for part in parts if isinstance(part, bytes)]
    return sum(map(len, (*sounds, *prompts.company, *prompts.fillers.values())))
