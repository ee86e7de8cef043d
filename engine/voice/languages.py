"""Which languages have an offline voice on this machine. Cheap: nothing of a voice is imported here.

English has the good one (``offline``), other languages what there is (``pico``). A language without a voice is refused
where a document is read; a tenant that is being served all the same keeps the English voice.
"""

import re
from importlib.metadata import PackageNotFoundError, version

from engine.errors import ConfigurationError

ENGLISH = "en"
PICO_PACKAGE = "py-nanotts"
PICO_LOCALES = {"de": "de-DE", "es": "es-ES", "fr": "fr-FR", "it": "it-IT"}


def primary(language: str) -> str:
    """The language of a locale: ``de`` of ``de-AT``."""
    return re.split(r"[-_]", language.strip().lower())[0]


def pico_version() -> str | None:
    """Of the package with the other voices; None where it is not installed, since not every platform has one."""
    try:
        return version(PICO_PACKAGE)
    except PackageNotFoundError:
        return None


def supported() -> tuple[str, ...]:
    """The languages that prompts can be rendered in on this machine, English first."""
    return (ENGLISH, *(PICO_LOCALES if pico_version() else ()))


def check_language(language: str) -> None:
    """Say whether prompts can be rendered in this locale.

    Raises:
        ConfigurationError: they cannot; it names those in which they can.
    """
    known = supported()
    if primary(language) in known:
        return
    lacking = f"; {PICO_PACKAGE} is not installed" if primary(language) in PICO_LOCALES else ""
    raise ConfigurationError(
        f"there is no voice for the fallback script in {language!r}, only in {', '.join(known)}{lacking}; "
        "write one of those, and the script's lines in that language"
    )
