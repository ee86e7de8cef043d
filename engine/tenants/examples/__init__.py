"""Tenant documents that ship with the product: for the demo, the tests and to copy from. All of them are fictional."""

from importlib.resources import files

from engine.errors import ConfigurationError
from engine.tenants.documents import parse_tenant
from engine.tenants.tenant import Tenant

_SUFFIX = ".yaml"


def names() -> list[str]:
    """What ``load`` takes."""
    return sorted(entry.name.removesuffix(_SUFFIX) for entry in files(__name__).iterdir() if _SUFFIX in entry.name)


def load(name: str) -> Tenant:
    """An example by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in names():
        raise ConfigurationError(f"no example tenant {name!r}; there are {', '.join(names())}")
    return parse_tenant((files(__name__) / f"{name}{_SUFFIX}").read_text("utf-8"), origin=f"example {name}")
