"""What a call has used of models and tools: what an invoice is written from. PURE; nothing here is done per frame.

It outlives sessions, legs and workers with the record that it is part of. Sound is counted in bytes of mu-law at 8 kHz
as a session takes and gives them, whether or not a caller heard it: so do the services count.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from engine.audio.g711 import SAMPLE_RATE_HZ


@dataclass(slots=True)
class ModelUse:
    """Of one provider, by all sessions with it. Bytes are of sound; tokens by the provider's own count."""

    bytes_in: int = 0
    bytes_out: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def tokens(self, reported: Mapping[str, int]) -> None:
        """One report of the provider's. What is not said to have gone in is taken for what came out."""
        given = reported.get("promptTokenCount", reported.get("input_tokens", 0))
        made = reported.get("responseTokenCount", reported.get("output_tokens", 0))
        self.tokens_in += given
        self.tokens_out += max(made, reported.get("totalTokenCount", 0) - given)


@dataclass(slots=True)
class CallUse:
    """Of one call.

    Attributes:
        tool_calls: asked for by models; ``tool_repeats`` of them did nothing: the ledger had the answer already.
        messages_written: taken down by a tool; what was left as sound is in the record itself.
    """

    models: dict[str, ModelUse] = field(default_factory=dict)
    tool_calls: int = 0
    tool_repeats: int = 0
    messages_written: int = 0

    def of(self, provider: str) -> ModelUse:
        """The count of that provider: one object for as long as the call lasts."""
        return self.models.setdefault(provider, ModelUse())

    def tool_answered(self, name: str, response: Mapping[str, Any], *, deduplicated: bool) -> None:
        """A tool call has its answer."""
        self.tool_repeats += deduplicated
        self.messages_written += name == "take_message" and response.get("status") == "ok" and not deduplicated

    def written(self) -> dict[str, Any]:
        """JSON-ready, for whoever goes on with the call."""
        return asdict(self)

    def add(self, written: Mapping[str, Any]) -> None:
        """What was used elsewhere, as ``written`` there, by this version or another.

        Raises:
            TypeError, AttributeError: it is nothing of the kind.
        """
        for provider, counts in written.get("models", {}).items():
            model = self.of(provider)
            for one in fields(ModelUse):
                setattr(model, one.name, getattr(model, one.name) + counts.get(one.name, 0))
        for name in ("tool_calls", "tool_repeats", "messages_written"):
            setattr(self, name, getattr(self, name) + written.get(name, 0))

    def quantities(self) -> dict[str, float]:
        """By kind of usage, in the kind's own unit; what is nothing is left out."""
        found: dict[str, float] = {
            "tool-calls": self.tool_calls - self.tool_repeats,
            "messages": self.messages_written,
        }
        for provider, use in sorted(self.models.items()):
            found[f"{provider}-audio-in-seconds"] = round(use.bytes_in / SAMPLE_RATE_HZ, 3)
            found[f"{provider}-audio-out-seconds"] = round(use.bytes_out / SAMPLE_RATE_HZ, 3)
            found[f"{provider}-tokens-in"] = use.tokens_in
            found[f"{provider}-tokens-out"] = use.tokens_out
        return {kind: quantity for kind, quantity in found.items() if quantity > 0}
