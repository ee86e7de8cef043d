"""Which business does this number, or this id, belong to? Answered from memory: it is asked while a phone rings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from engine.errors import ConfigurationError
from engine.tenants.numbers import normalise_number
from engine.tenants.tenant import Tenant


class Directory(Protocol):
    """Plain calls: the database twin answers from a copy that it keeps current."""

    def tenant_for_number(self, number: str) -> Tenant | None:
        """Who answers this number, in whatever form a carrier writes it."""

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The business of this id."""


@dataclass(frozen=True, slots=True)
class DirectoryStatistics:
    """How much it knows."""

    tenants: int
    numbers: int


class MemoryDirectory:
    """A directory of the tenants it was made with."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        """Index them.

        Raises:
            ConfigurationError: two share an id or a number; both are named.
        """
        self._by_id: dict[str, Tenant] = {}
        self._by_number: dict[str, Tenant] = {}
        for tenant in tenants:
            if tenant.id in self._by_id:
                names = f"{self._by_id[tenant.id].name!r} and {tenant.name!r}"
                raise ConfigurationError(f"tenant id {tenant.id!r} is used by {names}; give one of them another")
            self._by_id[tenant.id] = tenant
            for number in tenant.numbers:
                self._claim(number, tenant)

    def _claim(self, number: str, tenant: Tenant) -> None:
        owner = self._by_number.setdefault(number, tenant)
        if owner.id != tenant.id:
            raise ConfigurationError(
                f"number {number} belongs to tenants {owner.id!r} and {tenant.id!r}; take it from one of them"
            )

    def tenant_for_number(self, number: str) -> Tenant | None:
        """See ``Directory``."""
        return next((self._by_number[form] for form in normalise_number(number) if form in self._by_number), None)

    def tenant(self, tenant_id: str) -> Tenant | None:
        """See ``Directory``."""
        return self._by_id.get(tenant_id)

    def statistics(self) -> DirectoryStatistics:
        """A snapshot."""
        return DirectoryStatistics(len(self._by_id), len(self._by_number))
