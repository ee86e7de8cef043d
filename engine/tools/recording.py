"""``pause_recording`` and ``resume_recording``: what nobody may keep, such as a card number, is not recorded.

They change nothing outside the call. Where a call is not recorded they say so, and all is well. Asked for again, also
within one turn, they are done again: a pause that is only told of from the ledger would keep a card number.
"""

from collections.abc import Mapping
from typing import Any

import trio

from engine.messages import Effect
from engine.tenants.tenant import ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext


async def _pause(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    await trio.lowlevel.checkpoint()
    if context.recording is None:
        return answers.ok("This call is not being recorded. Go on.")
    context.recording.pause()
    return answers.ok("The recording is paused. Ask for the card number now, and resume the recording afterwards.")


async def _resume(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    await trio.lowlevel.checkpoint()
    if context.recording is None:
        return answers.ok("This call is not being recorded. Go on.")
    context.recording.resume()
    return answers.ok("The recording goes on.")


PAUSE_RECORDING = Tool(
    ToolSpec(
        name="pause_recording",
        description="Pauses the recording of this call. Always use it before the caller says a card number or a code.",
        effect=Effect.READS,
        timeout_s=3,
    ),
    _pause,
    each=True,
)
RESUME_RECORDING = Tool(
    ToolSpec(
        name="resume_recording",
        description="Goes on with the recording of this call, once the card number or code has been said.",
        effect=Effect.READS,
        timeout_s=3,
    ),
    _resume,
    each=True,
)
