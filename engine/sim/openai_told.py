"""From what a client writes of an item to the item itself; sound in it is listened to."""

from collections.abc import Mapping
from typing import Any

from engine.sim.openai_hearing import RATE, decode_input
from engine.sim.openai_items import Item, Kind
from engine.sim.openai_stage import OpenStage


def item_of(given: Mapping[str, Any], stage: OpenStage) -> Item:
    """The item that the client describes, under its id or a new one."""
    item_id = given.get("id") or stage.new_id("item")
    match given["type"]:
        case "function_call":
            call_id = given.get("call_id") or stage.new_id("call")
            return Item(item_id, "call", given["arguments"], call_id=call_id, name=given["name"], by_client=True)
        case "function_call_output":
            return Item(item_id, "result", given["output"], call_id=given["call_id"], by_client=True)
        case _:
            return _message(item_id, given, stage)


def _message(item_id: str, given: Mapping[str, Any], stage: OpenStage) -> Item:
    texts, audio_ms, content = [], 0.0, []
    for part in given["content"]:
        if "audio" in part:
            pcm = decode_input(part["audio"], stage.config.input_format)
            audio_ms += len(pcm) * 1000 / RATE
            texts.append(stage.house.ear.hear(pcm) or "")
            content.append({"type": "input_audio", "transcript": part.get("transcript")})
        else:
            texts.append(part.get("text", ""))
            content.append(dict(part))
    kind: Kind = "caller" if audio_ms else given["role"]
    return Item(item_id, kind, "\n".join(filter(None, texts)), audio_ms=audio_ms, by_client=True, content=content)
