"""All that receptionists can do, and which of it a given tenant's may.

A tool with an ``endpoint`` in the tenant's document is done there, also where one of that name ships with the product.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.errors import ConfigurationError
from engine.tenants.schema import check_schema
from engine.tenants.tenant import Tenant, ToolSpec
from engine.tools import booking, end_call, opening_hours, recording, take_message, transfer
from engine.tools.context import Tool
from engine.tools.http_tool import HttpTools


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as one tenant offers it: the tenant's words and limits, and the tool behind them."""

    spec: ToolSpec
    tool: Tool


class Catalog:
    """Tools by name. Which of them a model may call is the tenant's document's to say."""

    def __init__(self, tools: Iterable[Tool], http: HttpTools | None = None) -> None:
        """Every tool's own schema is checked here, once. Without ``http`` no tenant's endpoint can be asked.

        Raises:
            ConfigurationError: two tools of one name, or a schema that cannot be enforced.
        """
        self._http = http
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.spec.name in self._tools:
                raise ConfigurationError(f"two tools are named {tool.spec.name}; rename one")
            check_schema(tool.spec.parameters, tool.spec.name)
            self._tools[tool.spec.name] = tool

    def for_tenant(self, tenant: Tenant) -> Mapping[str, OfferedTool]:
        """What this tenant's receptionist may do. Call it at set-up too, to have mistakes said early.

        Raises:
            ConfigurationError: the document names a tool that is not here, or describes it so that it cannot work.
        """
        return {spec.name: self._offered(tenant, spec) for spec in tenant.tools}

    def _offered(self, tenant: Tenant, spec: ToolSpec) -> OfferedTool:
        place = f"tenant {tenant.id}: tools: {spec.name}"
        if spec.endpoint is not None:
            check_schema(spec.parameters, f"{place}: parameters")
            if self._http is None:
                raise ConfigurationError(f"{place}: endpoint: no HTTP tools are set up in this process")
            return OfferedTool(spec, self._http.tool(tenant, spec, spec.endpoint))
        tool = self._tools.get(spec.name)
        if tool is None:
            known = ", ".join(sorted(self._tools))
            raise ConfigurationError(f"{place}: nothing can do that; there are {known}; or give it an endpoint")
        if spec.effect is not tool.spec.effect:
            raise ConfigurationError(f"{place}: effect is {spec.effect.value}; it {tool.spec.effect.value}, write that")
        check_schema(spec.parameters, f"{place}: parameters")
        known, needed = tool.spec.parameters["properties"], tool.spec.parameters.get("required", [])
        if unknown := sorted(set(spec.parameters.get("properties", {})) - set(known)):
            cure = f"remove it; known are {', '.join(known)}"
            raise ConfigurationError(f"{place}: parameters: {', '.join(unknown)} is not used by this tool; {cure}")
        if missing := [name for name in needed if name not in spec.parameters.get("required", [])]:
            raise ConfigurationError(f"{place}: parameters.required: {', '.join(missing)} is needed; add it")
        return OfferedTool(spec, tool)


def standard_catalog(http: HttpTools | None = None) -> Catalog:
    """Everything that ships with the product, and tenants' endpoints where ``http`` can ask them."""
    return Catalog(
        (
            opening_hours.OPENING_HOURS,
            booking.FREE_SLOTS,
            booking.FIND_APPOINTMENT,
            booking.BOOK_APPOINTMENT,
            take_message.TAKE_MESSAGE,
            transfer.TRANSFER_CALL,
            end_call.END_CALL,
            recording.PAUSE_RECORDING,
            recording.RESUME_RECORDING,
        ),
        http,
    )
