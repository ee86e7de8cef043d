"""``.../script``: every line that is said without a model, as text and as the sound that a caller hears; and the words
that models are told by.
"""

from functools import partial
from typing import Annotated

import trio
from pydantic import Field
from quart import Blueprint, Response

from engine.backoffice.access import requires
from engine.backoffice.endpoint import Body, asks, gives, gives_bytes
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.sound import WAV, wav_response
from engine.fallback.prompts import language_of
from engine.tenants.tenant import Script, Tenant

RENDERERS = 1  # a voice speaks with one core


class ScriptLine(Body):
    """One line; ``audio`` is where it can be heard, null where it is blank and left out."""

    line: str
    variant: int
    text: str
    audio: str | None


class ScriptView(Body):
    """What a tenant's callers hear, and what its models are told."""

    language: str
    persona: str
    lines: list[ScriptLine]


class Variant(Body):
    """Which of several lines of that name."""

    variant: Annotated[int, Field(ge=0, le=1000)] = 0


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("script", __name__, url_prefix="/v1/tenants/<slug:tenant_id>/script")
    rendering = trio.CapacityLimiter(RENDERERS)

    @pages.get("")
    @gives(ScriptView)
    @requires("read")
    async def script(tenant_id: str) -> ScriptView:
        """Every line as text."""
        tenant = await office.tenant(tenant_id)
        lines = [
            ScriptLine(line=name, variant=variant, text=text, audio=_audio(tenant_id, name, variant, text))
            for name, texts in _texts(tenant).items()
            for variant, text in enumerate(texts)
        ]
        return ScriptView(language=tenant.language, persona=tenant.persona, lines=lines)

    @pages.get("/<name:line>/audio")
    @gives_bytes(WAV, "The line, mono, 8 kHz.")
    @asks(Variant)
    @requires("read")
    async def audio(tenant_id: str, line: str, query: Variant) -> Response:
        """A line as callers hear it; rendered now where it is new."""
        tenant = await office.tenant(tenant_id)
        texts = _texts(tenant).get(line, ())
        if query.variant >= len(texts) or not texts[query.variant].strip():
            raise Problem(404, "no such line, or it is blank")
        text = texts[query.variant]
        render = partial(office.voice.mulaw, text, language=language_of(tenant, text))
        return wav_response(await trio.to_thread.run_sync(render, limiter=rendering))

    return pages


def _texts(tenant: Tenant) -> dict[str, tuple[str, ...]]:
    """Lines by name, as the document has them; ``filler`` is the script's own, ``tool_filler`` those of tools."""
    texts: dict[str, tuple[str, ...]] = {"greeting": (tenant.greeting,)}
    for name in Script.model_fields:
        said = getattr(tenant.script, name)
        texts[name] = tuple(said) if isinstance(said, tuple) else (said,)
    texts["tool_filler"] = tuple(tool.filler for tool in tenant.tools if tool.filler.strip())
    return texts


def _audio(tenant_id: str, line: str, variant: int, text: str) -> str | None:
    return f"/v1/tenants/{tenant_id}/script/{line}/audio?variant={variant}" if text.strip() else None
