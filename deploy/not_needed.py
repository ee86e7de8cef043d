"""Which installed distributions the one that is named does not need to run: one a line, for ``pip uninstall -r``."""

import re
import sys
from importlib.metadata import distributions, requires

from packaging.requirements import Requirement


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(root: str) -> set[str]:
    """The root, what it needs without its own extras, and what that needs with the extras that are asked for."""
    done: set[tuple[str, str]] = set()
    waiting = {(_name(root), "")}
    installed = {_name(one.metadata["Name"]) for one in distributions()}
    while waiting:
        name, extra = one = waiting.pop()
        done.add(one)
        for line in requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            found = _name(requirement.name)
            if found in installed:
                waiting |= {(found, asked) for asked in ("", *requirement.extras)} - done
    return {name for name, _ in done}


if __name__ == "__main__":
    everything = {_name(one.metadata["Name"]) for one in distributions()}
    sys.stdout.write("".join(f"{name}\n" for name in sorted(everything - needed(sys.argv[1]) - {"pip"})))
