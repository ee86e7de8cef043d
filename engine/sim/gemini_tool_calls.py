"""The tool calls of a simulated model's answer: asked for, perhaps twice or wrongly, and waited for."""

from collections.abc import Sequence
from typing import Any

import trio

from engine.sim import gemini_frames as frames
from engine.sim.brain import ToolAnswer, ToolWish
from engine.sim.gemini_answer import Answer, Stage
from engine.sim.moods import DoubleToolCall, InvalidArguments, UnknownTool


async def call_strangely(answer: Answer, stage: Stage) -> None:
    """Call what nobody offers, if that is the mood; the answer to that is forgotten."""
    if (strange := stage.mood(UnknownTool)) is not None:
        await _call((ToolWish(strange.name, strange.arguments),), answer, stage)
        answer.answers.clear()


async def call_tools(wishes: Sequence[ToolWish], answer: Answer, stage: Stage) -> list[ToolAnswer]:
    """Call them all and wait until each has been answered."""
    if (bad := stage.mood(InvalidArguments)) is not None:
        before = len(answer.answers)
        await _call((ToolWish(wishes[0].name, bad.arguments),), answer, stage)
        del answer.answers[before:]
    return await _call(wishes, answer, stage, stage.mood(DoubleToolCall))


async def _call(
    wishes: Sequence[ToolWish], answer: Answer, stage: Stage, double: DoubleToolCall | None = None
) -> list[ToolAnswer]:
    calls = [{"id": stage.ask(wish), "name": wish.name, "args": dict(wish.arguments)} for wish in wishes]
    if double is not None and double.how == "part":
        await stage.link.send(frames.tool_call_part(calls[0]))
    answer.pending.update(str(call["id"]) for call in calls)
    await stage.link.send(frames.resumption(""))  # not while a call is pending
    if double is not None and double.how != "part" and double.one_frame:
        await stage.link.send(frames.tool_call([*calls, _again(double, calls[0], wishes[0], answer, stage)]))
    else:
        await stage.link.send(frames.tool_call(calls))
        if double is not None and double.how != "part":
            # A task of the connection's: it comes though the first may have been answered, and the answer given.
            stage.nursery.start_soon(_call_again, double, calls[0], wishes[0], answer, stage)
    before = len(answer.answers)
    while answer.pending:
        answer.answered = trio.Event()
        await answer.answered.wait()
    return answer.answers[before:]


async def _call_again(
    double: DoubleToolCall, call: dict[str, Any], wish: ToolWish, answer: Answer, stage: Stage
) -> None:
    await trio.sleep(double.after_s)
    await stage.link.send(frames.tool_call([_again(double, call, wish, answer, stage)]))


def _again(
    double: DoubleToolCall, call: dict[str, Any], wish: ToolWish, answer: Answer, stage: Stage
) -> dict[str, Any]:
    if double.how == "same_id":
        stage.ask_again(str(call["id"]))
        return call
    again = {**call, "id": stage.ask(wish)}
    answer.pending.add(str(again["id"]))
    return again
