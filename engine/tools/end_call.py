"""``end_call``: the conversation is over. The call ends once the agent's goodbye has been heard."""

from collections.abc import Mapping
from typing import Any

import trio

from engine.messages import Effect
from engine.tenants.tenant import ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext


async def _end_call(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    await trio.lowlevel.checkpoint()
    context.control.request_end(arguments.get("reason", ""))
    return answers.ok("The call ends after your last words. If you have not said goodbye, say it now.")


END_CALL = Tool(
    ToolSpec(
        name="end_call",
        description="Ends the call after a goodbye.",
        parameters={"type": "object", "properties": {"reason": {"type": "string"}}},
        effect=Effect.WRITES,
        timeout_s=3,
    ),
    _end_call,
    again=True,
)
