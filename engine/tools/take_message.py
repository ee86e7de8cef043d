"""``take_message``: writes down what the caller wants the team to know."""

from collections.abc import Mapping
from typing import Any

from engine.messages import Effect
from engine.store.follow_ups import FollowUp
from engine.tenants.tenant import ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext


async def _take_message(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    phone = arguments.get("phone") or context.caller
    if not phone:
        return answers.refused("The caller's number is withheld. Ask for a number to call back.", retryable=True)
    await context.follow_ups.keep_follow_up(
        FollowUp(
            tenant_id=context.tenant.id,
            call_sid=context.call_sid,
            key=context.effect_id,
            kind="message",
            caller=phone,
            text=arguments["message"],
            noted_at=context.now().isoformat(),
            details={"name": arguments["name"], "urgent": bool(arguments.get("urgent"))},
        )
    )
    return answers.ok("The message is written down, and the team will call back.", phone=phone)


TAKE_MESSAGE = Tool(
    ToolSpec(
        name="take_message",
        description="Writes down a message for the team.",
        parameters={
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "message": {"type": "string", "minLength": 1},
                "phone": {"type": "string"},
                "urgent": {"type": "boolean"},
            },
            "required": ["name", "message"],
        },
        effect=Effect.WRITES,
    ),
    _take_message,
)
