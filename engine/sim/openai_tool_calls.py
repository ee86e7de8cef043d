"""The function calls of a simulated response: told piece by piece, perhaps twice or wrongly. Nothing waits for them.

A response that calls is over when its calls have been told; the client answers with items, and asks for the next one.
"""

from collections.abc import Sequence

import orjson
import trio

from engine.sim import openai_events as events
from engine.sim.brain import Reply, ToolWish
from engine.sim.moods import DoubleToolCall, InvalidArguments
from engine.sim.openai_items import Item
from engine.sim.openai_response import Response, close_item, open_item
from engine.sim.openai_stage import OpenStage

_PIECE = 12  # characters of arguments in one delta
_PIECE_S = 0.01


async def call_wrongly(wish: ToolWish, response: Response, stage: OpenStage) -> None:
    """Call what the model should not; what comes of that it takes and forgets."""
    call_id = stage.new_id("call")
    response.turn.wrong_calls.add(call_id)
    await _call(wish, response, stage, call_id)


async def call(wishes: Sequence[ToolWish], response: Response, stage: OpenStage) -> None:
    """Call them all, one item each."""
    if (bad := stage.mood(InvalidArguments)) is not None:
        response.turn.instead = Reply("", tuple(wishes))
        await call_wrongly(ToolWish(wishes[0].name, bad.arguments), response, stage)
        return
    double = stage.mood(DoubleToolCall)
    for wish in wishes:
        call_id = stage.new_id("call")
        response.turn.calls.add(call_id)
        item = await _call(wish, response, stage, call_id)
        if double is not None:
            await _call_again(double, wish, item, response, stage)
            double = None


async def _call(wish: ToolWish, response: Response, stage: OpenStage, call_id: str) -> Item:
    item = Item(stage.new_id("item"), "call", call_id=call_id, name=wish.name)
    stage.record.tool_calls.append(call_id)
    stage.note("tool_call", f"{wish.name} {call_id}")
    await open_item(response, stage, item)
    arguments = orjson.dumps(dict(wish.arguments)).decode()
    index = response.items.index(item)
    for at in range(0, len(arguments), _PIECE):
        await trio.sleep(_PIECE_S)
        await stage.emit(events.arguments_delta(response.id, index, item, arguments[at : at + _PIECE]))
        item.text += arguments[at : at + _PIECE]
    await close_item(response, stage, "completed")
    return item


async def _call_again(double: DoubleToolCall, wish: ToolWish, item: Item, response: Response, stage: OpenStage) -> None:
    """Its item once more (``part``), another item with its id, or another call; in this response, or long after it."""
    if double.how == "part":
        await stage.emit(events.output_item("done", response.id, response.items.index(item), item))
    elif double.after_s > 0 and not double.one_frame:
        stage.nursery.start_soon(_call_late, double, item, response, stage)
    else:
        call_id = item.call_id if double.how == "same_id" else stage.new_id("call")
        response.turn.calls.add(call_id)
        await _call(wish, response, stage, call_id)


async def _call_late(double: DoubleToolCall, item: Item, response: Response, stage: OpenStage) -> None:
    await trio.sleep(double.after_s)
    call_id = item.call_id if double.how == "same_id" else stage.new_id("call")
    again = Item(stage.new_id("item"), "call", item.text, call_id=call_id, name=item.name, fresh=False)
    stage.conversation.add(again)  # whoever answers it is not at fault
    stage.record.tool_calls.append(call_id)
    stage.note("tool_call", f"again {call_id}")
    index = len(response.items)
    await stage.emit(events.arguments_done(response.id, index, again))
    await stage.emit(events.output_item("done", response.id, index, again))
