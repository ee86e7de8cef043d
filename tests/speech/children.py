"""Which processes are this one's children?"""

from pathlib import Path


def children() -> set[int]:
    """Process ids; a child is listed with the thread that started it."""
    return {int(number) for task in Path("/proc/self/task").glob("*/children") for number in task.read_text().split()}
