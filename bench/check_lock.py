"""Is requirements.lock whole? Every dependency of pyproject.toml pinned, every pin hashed, no address anywhere.

Part of ``make check``. A lock without addresses installs from whatever index its reader uses; the hashes say whether
that index gave what was locked.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CURE = "run: make lock"
_HASH = re.compile(r"\s--hash=(\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def complaints(pyproject: str, lock: str) -> Iterator[str]:
    """What is wrong with a lock, by the texts of both files; nothing where all is well."""
    pins: dict[str, list[Requirement]] = {}
    for line in _logical_lines(lock):
        words = _HASH.sub("", line)
        if "://" in line or line.startswith("-") or "@" in words:
            yield f"holds an address or an option: {line[:80]}"
            continue
        try:
            pin = Requirement(words)
        except InvalidRequirement:
            yield f"cannot be read: {line[:80]}"
            continue
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
        if [s.operator for s in pin.specifier] != ["=="] or "*" in str(pin.specifier):
            yield f"{pin.name} is not pinned to one version"
        hashes = _HASH.findall(line)
        if not hashes or not all(_SHA256.fullmatch(found) for found in hashes):
            yield f"{pin.name} has no sha256 hash, or one that is damaged"
    for wanted in declared(pyproject):
        found = pins.get(canonicalize_name(wanted.name), [])
        if not found:
            yield f"{wanted.name} is in pyproject.toml and not in the lock"
        for pin in found:
            if not all(wanted.specifier.contains(s.version, prereleases=True) for s in pin.specifier):
                yield f"{pin.name}{pin.specifier} is locked, but pyproject.toml asks for {wanted}"


def declared(pyproject: str) -> list[Requirement]:
    """What pyproject.toml asks for: dependencies and every extra."""
    project = tomllib.loads(pyproject)["project"]
    asked = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return [Requirement(text) for text in asked]


def _logical_lines(lock: str) -> Iterator[str]:
    for line in lock.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def main() -> int:
    """Say what is wrong; exit status 1 where anything is."""
    texts = [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "requirements.lock")]
    found = list(complaints(*texts))
    for complaint in found:
        print(f"requirements.lock: {complaint}", file=sys.stderr)
    if found:
        print(CURE, file=sys.stderr)
        return 1
    pinned = sum(1 for _ in _logical_lines(texts[1]))
    print(f"requirements.lock: {pinned} pins, all hashed, nothing missing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
