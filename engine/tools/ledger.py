"""Which tool calls are one effect. PURE.

The ledger itself stands in the store, where its database twin will be; its names are handed on from here.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from engine.messages import ToolCall
from engine.store.ledger import (
    AlreadyDone,
    Claim,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    Ledger,
    OutcomeUnknown,
    Response,
)
from engine.store.memory_ledger import MemoryLedger

__all__ = [
    "AlreadyDone",
    "Claim",
    "ClaimRequest",
    "Claimed",
    "EffectKey",
    "IdReused",
    "InFlight",
    "Ledger",
    "MemoryLedger",
    "OutcomeUnknown",
    "Response",
    "effect_key",
    "normalised",
]


def effect_key(call: ToolCall, *, once_per_call: bool, each: bool = False) -> EffectKey:
    """The key under which this call's effect is claimed.

    Args:
        call: its arguments have been checked.
        once_per_call: the same arguments mean the same effect throughout the call (nobody means to book one slot
            twice); else within a turn only (a read, since the world may have changed by the next).
        each: the same only where the id is (to pause is meant anew whenever it is asked for: see ``Tool.each``).
    """
    scope = f"id-{call.call_id}" if each else "call" if once_per_call else f"turn-{call.turn_id}"
    digest = sha256(normalised(call.arguments).encode()).hexdigest()
    return EffectKey(call.tenant_id, call.call_sid, call.name, digest, scope)


def normalised(arguments: Mapping[str, Any]) -> str:
    """One text for arguments that mean the same: key order, letter case, spacing and ``3.0`` for ``3`` do not count."""
    return json.dumps(_plain(arguments), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    match value:
        case str():
            return " ".join(value.casefold().split())
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return value
