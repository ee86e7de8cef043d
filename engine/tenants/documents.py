"""Tenant documents (YAML or JSON, a file or a folder of them) -> ``Tenant``; every complaint names place, value, cure.

YAML reads ``10:00`` as a number of minutes and ``+15550100100`` as a number; ``Tenant`` refuses both, and the
complaint says to put them in quotes.
"""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.errors import ConfigurationError
from engine.tenants.endpoints import check_endpoint
from engine.tenants.hours import read_week
from engine.tenants.schema import check_schema
from engine.tenants.tenant import Tenant
from engine.voice.languages import check_language

SUFFIXES = (".yaml", ".yml", ".json")


def read_tenants(path: Path) -> list[Tenant]:
    """Every tenant document of a folder (not of folders in it), in order of file names; or the one of a file.

    Raises:
        ConfigurationError: no document there, or one that cannot be used.
    """
    if not path.is_dir():
        return [read_tenant(path)]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise ConfigurationError(f"{path}: no tenant documents here; put in a file ending in {', '.join(SUFFIXES)}")
    return [read_tenant(file) for file in files]


def read_tenant(path: Path) -> Tenant:
    """The tenant of one file.

    Raises:
        ConfigurationError: it cannot be read, or cannot be used.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); check the path and who may read"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    return parse_tenant(text, origin=str(path))


def parse_tenant(text: str, *, origin: str) -> Tenant:
    """A document's text -> tenant. What begins with ``{`` is JSON. ``origin`` begins every complaint.

    Raises:
        ConfigurationError: all complaints of the first kind found: syntax, then fields, then what fields say.
    """
    try:
        if text.lstrip().startswith("{"):
            document = json.loads(text, object_pairs_hook=_no_name_twice)
        else:
            document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - SafeLoader with one more refusal
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{origin}: is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{origin}: holds {type(document).__name__}; write a tenant's fields, at least id, name"
        )
    try:
        tenant = Tenant.model_validate(document)
    except ValidationError as error:
        said = "\n".join(f"{origin}: {_complaint(detail)}" for detail in error.errors())
        raise ConfigurationError(said) from None
    _check_meaning(tenant, origin)
    return tenant


def _check_meaning(tenant: Tenant, origin: str) -> None:
    """What field types cannot say."""
    try:
        ZoneInfo(tenant.timezone)
    except (KeyError, ValueError, OSError):
        cure = "write a name like America/New_York (on a machine without time zones, install tzdata)"
        raise ConfigurationError(f"{origin}: timezone: {tenant.timezone!r} is not known; {cure}") from None
    try:
        check_language(tenant.language)
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin}: language: {error}") from None
    try:
        read_week(tenant.hours)
        for index, tool in enumerate(tenant.tools):
            path = f"tools.{index}.parameters"
            check_schema(tool.parameters, path)
            if tool.parameters["type"] != "object":
                raise ConfigurationError(f"{path}.type: {tool.parameters['type']!r}; a tool's parameters are an object")
            if tool.endpoint is not None:
                check_endpoint(tool, tool.endpoint, f"tools.{index}.endpoint")
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin}: {error}") from None
    for field, names in (
        ("tools", [tool.name for tool in tenant.tools]),
        ("people", [person.name.strip().casefold() for person in tenant.people]),
        ("numbers", list(tenant.numbers)),
        ("knowledge (source)", [note.source for note in tenant.knowledge]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"{origin}: {field}: {', '.join(twice)} named twice; rename or remove one")


def _complaint(detail: ErrorDetails) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    kind, value = detail["type"], repr(detail["input"])
    value = value if len(value) <= 60 else value[:57] + "..."
    if kind == "missing":
        return f"{place}: missing; add it"
    if kind == "extra_forbidden":
        return f"{place}: no such field ({value}); correct the name or remove it"
    if kind == "string_type":
        return f"{place}: {value} is not text; put it in quotes"
    if kind == "string_pattern_mismatch" and ("numbers" in detail["loc"] or "number" in detail["loc"]):
        return f'{place}: {value} is no E.164 number; write it as "+15550100100", in quotes'
    return f"{place}: {value}: {detail['msg']}"


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} named twice; remove one")
    return dict(pairs)


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name given twice in one mapping; plain YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is named twice; remove one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
