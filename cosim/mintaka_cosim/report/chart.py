"""Line charts as inline SVG, in colours of the page's style sheet."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 34


@dataclass(frozen=True)
class Series:
    """`style` is the CSS class of the line."""

    name: str
    style: str
    values: list[float]


def line_chart(
    x: list[int], series: list[Series], *, x_label: str, percent: bool, marks: dict[int, str] | None = None
) -> str:
    """One SVG element; an empty string where there is nothing to draw. `marks`: labelled positions on the x axis."""
    found = [value for one in series for value in one.values]
    if len(x) < 2 or not found:
        return ""
    low, high, step = _scale(min(found), max(found), top=1.0 if percent else None)
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(position: float, value: float) -> tuple[float, float]:
        right = (position - x[0]) / (x[-1] - x[0]) * plot_width
        up = (value - low) / (high - low) * plot_height
        return round(LEFT + right, 1), round(TOP + plot_height - up, 1)

    parts = []
    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        _, y = at(x[0], value)
        text = f"{value:.{_places(step * 100)}%}" if percent else f"{value:.{_places(step)}f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
    for position in sorted({x[0], x[len(x) // 2], x[-1]}):
        left, _ = at(position, low)
        parts.append(f'<text class="tick" x="{left}" y="{HEIGHT - 14}" text-anchor="middle">{position}</text>')
    for position, text in (marks or {}).items():
        left, _ = at(position, low)
        parts.append(f'<line class="mark" x1="{left}" x2="{left}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{left + 5}" y="{HEIGHT - BOTTOM - 6}">{escape(text)}</text>')
    middle = LEFT + plot_width / 2
    parts.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 1}" text-anchor="middle">{escape(x_label)}</text>')
    for one in series:
        points = " ".join(f"{a},{b}" for a, b in (at(p, v) for p, v in zip(x, one.values, strict=True)))
        parts.append(
            f'<polyline class="line {one.style}" points="{points}"><title>{escape(one.name)}</title></polyline>'
        )
    label = escape(f"{', '.join(one.name for one in series)} by {x_label}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _scale(low: float, high: float, *, top: float | None) -> tuple[float, float, float]:
    """Round ends and a round step of the vertical axis."""
    span = max(high - low, 1e-3)
    rough = span / 4
    magnitude = 10.0 ** floor(log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)
    begin, end = floor(low / step) * step, ceil(high / step) * step
    if top is not None:
        end = min(end, top)
        begin = end - ceil((end - begin) / step - 1e-9) * step
    return begin, end if end > begin else begin + step, step


def _places(step: float) -> int:
    return max(0, -floor(log10(step) + 1e-9))
