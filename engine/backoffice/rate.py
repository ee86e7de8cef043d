"""How often somebody may ask: a token bucket for each, in this process.

It protects this process, so it counts by itself: a count shared through the database would cost every request a write
to it, which is what is to be protected.
"""

from collections import OrderedDict

import trio

BURST_S = 10.0  # so many seconds' worth may come at once
MOST_KNOWN = 10_000  # who has not asked for longest is forgotten first, and then begins with a full bucket


class Buckets:
    """By name. ``per_minute`` is what each may ask for in the long run."""

    def __init__(self, per_minute: int) -> None:
        self._per_s = per_minute / 60
        self._holds = max(1.0, self._per_s * BURST_S)
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, name: str) -> float:
        """Take one; 0, or how many seconds to wait before there is one."""
        now = trio.current_time()
        tokens, at = self._known.pop(name, (self._holds, now))
        tokens = min(self._holds, tokens + (now - at) * self._per_s)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        self._known[name] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return wait_s
