"""Small charts side by side as one SVG, some kB, that is read on light and on dark paper alike. PURE."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 400, 230  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 40
HEAD = 44
COLUMNS = 2
TICKS = 4

_STYLE = """
text{font:12px system-ui,sans-serif;fill:#444}
.title{font-size:16px;font-weight:600;fill:#222}
.name{font-weight:600}
.grid{stroke:#8884}
.line{fill:none;stroke:#2a6fb0;stroke-width:2}
.bar{stroke:#2a6fb0;stroke-width:1.5;opacity:.55}
.dot{fill:#2a6fb0}
.paper{fill:#fff}
@media(prefers-color-scheme:dark){.paper{fill:#16181c}text{fill:#bbb}.title{fill:#eee}
.line,.bar{stroke:#7fb4e6}.dot{fill:#7fb4e6}}
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: for each point (value, least, most), or None where nothing was measured."""

    name: str
    points: tuple[tuple[float, float, float] | None, ...]


def draw(title: str, axis: str, names: Sequence[str], panels: Sequence[Panel]) -> str:
    """An SVG document; ``names`` are the points' along the axis, evenly spaced."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, HEAD + rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="title" x="16" y="28">{escape(title)}</text>',
    ]
    for index, panel in enumerate(panels):
        x, y = index % COLUMNS * WIDTH, HEAD + index // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel, axis, names), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, axis: str, names: Sequence[str]) -> Iterator[str]:
    known = [value for point in panel.points if point is not None for value in point]
    yield f'<text class="name" x="{LEFT}" y="20">{escape(panel.name)}</text>'
    if not known:
        yield f'<text x="{LEFT}" y="{HEIGHT / 2:g}">not measured</text>'
        return
    ticks = _ticks(min(0.0, *known), max(0.0, *known))
    inner, foot = HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM

    def y_of(value: float) -> float:
        return round(foot - inner * (value - ticks[0]) / (ticks[-1] - ticks[0]), 1)

    def x_of(index: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / len(names), 1)

    for tick in ticks:
        y = y_of(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>'
    for index, name in enumerate(names):
        yield f'<text x="{x_of(index)}" y="{foot + 16}" text-anchor="middle">{escape(name)}</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{foot + 32}" text-anchor="end">{escape(axis)}</text>'
    drawn = [(x_of(index), point) for index, point in enumerate(panel.points) if point is not None]
    if all(name.replace(".", "", 1).isdigit() for name in names):  # between names there is nothing to be joined
        yield f'<polyline class="line" points="{" ".join(f"{x},{y_of(point[0])}" for x, point in drawn)}"/>'
    for x, (value, least, most) in drawn:
        yield f'<line class="bar" x1="{x}" x2="{x}" y1="{y_of(least)}" y2="{y_of(most)}"/>'
        yield f'<circle class="dot" cx="{x}" cy="{y_of(value)}" r="3.5"><title>{value:g}</title></circle>'


def _ticks(least: float, most: float) -> list[float]:
    """Round numbers from at most the one to at least the other, some four steps."""
    rough = (most - least or 1.0) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(step * number, 9) for number in range(first, max(last, first + 1) + 1)]
