"""How many calls a tenant may hold at once, so that one tenant's rush leaves room for the others. PURE."""

from dataclasses import dataclass, field
from typing import TypeAlias

from engine.errors import MisuseError
from engine.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Admitted:
    """A place on the line; give it back with ``release`` when the call is over. ``at`` is ``now`` of its admission."""

    tenant_id: str
    place: int
    at: float


@dataclass(frozen=True, slots=True)
class TooMany:
    """The tenant's places are all taken. ``oldest_s`` is how long the longest of its calls has been on the line."""

    tenant_id: str
    limit: int
    oldest_s: float


Admission: TypeAlias = Admitted | TooMany


@dataclass(frozen=True, slots=True)
class TenantUse:
    """One tenant's calls: now, at most so far, and refused so far."""

    now: int
    peak: int
    refused: int


@dataclass(slots=True)
class _Use:
    places: dict[int, float] = field(default_factory=dict)
    peak: int = 0
    refused: int = 0


class Limits:
    """Counts calls against ``quotas.concurrent_calls`` of the tenant as passed, so a quota may change at any time."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}
        self._next_place = 0

    def admit(self, tenant: Tenant, now: float) -> Admission:
        """Take a place, or learn that there is none; neither waits."""
        use = self._uses.setdefault(tenant.id, _Use())
        limit = tenant.quotas.concurrent_calls
        if len(use.places) >= limit:
            use.refused += 1
            return TooMany(tenant.id, limit, now - min(use.places.values()))
        self._next_place += 1
        use.places[self._next_place] = now
        use.peak = max(use.peak, len(use.places))
        return Admitted(tenant.id, self._next_place, now)

    def release(self, admitted: Admitted) -> None:
        """Give the place back.

        Raises:
            MisuseError: it had been given back before, or was never given.
        """
        use = self._uses.get(admitted.tenant_id)
        if use is None or use.places.pop(admitted.place, None) is None:
            raise MisuseError(f"place {admitted.place} of {admitted.tenant_id} is not taken")

    def statistics(self) -> dict[str, TenantUse]:
        """Per tenant id, for every tenant that ever had a call."""
        return {owner: TenantUse(len(use.places), use.peak, use.refused) for owner, use in self._uses.items()}
