"""What a dialogue decides to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    """Say this: whole sentences, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Have this done; the dialogue is told what came of it (``Dialogue.tool_result``).

    Attributes:
        call_id: unique in this dialogue.
        arguments: as the tool's JSON Schema wants them.
    """

    call_id: str
    name: str
    arguments: Mapping[str, Any]


Act: TypeAlias = Say | CallTool
