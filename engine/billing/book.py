"""The price book: what one unit of each kind of usage costs, by versions that are valid from a month on. PURE.

A document (YAML or JSON) that the operator keeps, such as::

    versions:
      - valid_from: 2026-01
        currency: EUR
        decimals: 2
        prices:
          line-seconds: {label: Minutes on the line, unit: 60, price: "0.04", included: 6000}
          gemini-live-tokens-out: {unit: 1000000, price: "12.00"}

A month is priced by the newest version that is valid at its beginning; closed months never change. A kind that is not
named costs nothing, and is shown.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine.billing.period import Month
from engine.errors import ConfigurationError

SETTING = "FRONTDESK_PRICE_BOOK"


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError(  # noqa: TRY004 - pydantic tells of it with its place
            'write it in quotes, such as "0.05": 0.05 without them is not exactly that'
        )
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=24, decimal_places=12)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Document):
    """Of one kind.

    Attributes:
        unit: so much of the kind costs ``price``: 60 for a price per minute of ``line-seconds``.
        included: so much of the kind costs nothing each month.
    """

    price: Exact
    unit: Annotated[Exact, Field(gt=0)] = Decimal(1)
    included: Exact = Decimal(0)
    label: Annotated[str, Field(max_length=100)] = ""


class Version(_Document):
    """Prices from a month on. ``base``: what a month costs before anything is used."""

    valid_from: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    decimals: Annotated[int, Field(ge=0, le=4)] = 2
    base: Exact = Decimal(0)
    prices: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], Price] = Field(default_factory=dict)


class PriceBook(_Document):
    """All versions."""

    versions: Annotated[tuple[Version, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_begins_once(self) -> Self:
        months = [version.valid_from for version in self.versions]
        if len(set(months)) != len(months):
            raise ValueError("two versions are valid from the same month: write them as one")
        return self

    def at(self, month: Month) -> Version:
        """The version that prices this month.

        Raises:
            ConfigurationError: none is valid yet.
        """
        valid = [version for version in self.versions if Month.read(version.valid_from) <= month]
        if not valid:
            raise ConfigurationError(f"{SETTING}: no version of the price book is valid in {month} yet")
        return max(valid, key=lambda version: version.valid_from)


def read_price_book(path: Path | None) -> PriceBook:
    """The operator's; without one, a book in which nothing costs anything.

    Raises:
        ConfigurationError: it cannot be read; every mistake with its place.
    """
    if path is None:
        return PriceBook(versions=(Version(valid_from="1970-01", currency="USD"),))
    try:
        return PriceBook.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{SETTING}: {path} cannot be read: {error}") from None
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(f"{SETTING}: {path}: {said}") from None
