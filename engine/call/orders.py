"""What an operator has ordered, carried out: first the caller is told, then it is done."""

import trio

from engine.audio import g711
from engine.call.context import CallContext
from engine.call.desk import AgentEnds, Wish
from engine.messages import Cut, CutPlayout, EndUtterance, PlayAudio

MARGIN_S = 0.4  # from the end of a line's sound to the carrier's having played it


async def announce(call: CallContext, wish: Wish) -> None:
    """Tell the caller what is about to happen, in the tenant's own words; nothing where the agent has said it."""
    if not wish.ordered:
        return
    script, prompts = call.tenant.script, call.services.prompts.for_tenant(call.tenant)
    ends_call = isinstance(wish, AgentEnds)
    name = "goodbye" if ends_call else "connecting"
    text, mulaw = (script.goodbye, prompts.goodbye) if ends_call else (script.connecting, prompts.connecting)
    ends = call.ends
    await ends.playout.send(CutPlayout(ends.next_generation(), Cut.NOW))
    generation = ends.next_generation()
    await ends.playout.send(PlayAudio(generation, mulaw))
    await ends.playout.send(EndUtterance(generation))
    call.record.script_said(trio.current_time(), name, text, generation)
    await trio.sleep(len(mulaw) / g711.SAMPLE_RATE_HZ + MARGIN_S)


class Orders:
    """Whoever waits for an operator's order while the script has the floor."""

    def __init__(self) -> None:
        self.given: Wish | None = None

    async def wait(self, call: CallContext, script: trio.CancelScope) -> None:
        """Wait for one; it ends the script."""
        self.given = await call.desk.wait_order()
        script.cancel()
