"""``transfer_call``: puts the caller through to a person."""

from collections.abc import Mapping
from typing import Any

import trio

from engine.messages import Effect
from engine.tenants.tenant import Person, Tenant, ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext


async def _transfer_call(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    await trio.lowlevel.checkpoint()
    people = context.tenant.people
    if not people:
        return answers.refused("There is nobody to put the caller through to. Offer to take a message.")
    person = _wanted(context.tenant, arguments.get("to", ""))
    if person is None:
        known = "; ".join(f"{person.name} (for {person.for_})" for person in people)
        return answers.refused(f"It is not clear to whom. There are: {known}.", retryable=True)
    context.control.request_transfer(person)
    return answers.ok(
        f"The caller is being put through to {person.name}. Say so in one short sentence.", to=person.name
    )


def _wanted(tenant: Tenant, said: str) -> Person | None:
    """The person named; the only one where nobody was named."""
    name = _plain(said)
    if not name:
        return tenant.people[0] if len(tenant.people) == 1 else None
    exact = [person for person in tenant.people if _plain(person.name) == name]
    alike = exact or [person for person in tenant.people if name in _plain(person.name)]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return " ".join(name.casefold().split()).removeprefix("the ")


TRANSFER_CALL = Tool(
    ToolSpec(
        name="transfer_call",
        description="Puts the caller through to a person.",
        parameters={
            "type": "object",
            "properties": {"to": {"type": "string"}, "reason": {"type": "string"}},
        },
        effect=Effect.WRITES,
        timeout_s=5,
    ),
    _transfer_call,
    again=True,
)
