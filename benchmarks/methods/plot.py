"""Accuracy against what it costs: panels of numbered points as one SVG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from mintaka_cosim.picture.svg import Canvas

PANEL_WIDTH, PANEL_HEIGHT = 380, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 22, 16, 44
RADIUS = 3
LABEL_WIDTH, LABEL_HEIGHT = 15, 11
SIDES = (LABEL_WIDTH / 2 + RADIUS + 2, -LABEL_WIDTH / 2 - RADIUS - 2)  # from a dot to the middle of its label


@dataclass(frozen=True)
class Dot:
    """label : a number that the table explains. x above 0. low, high : the spread of y; shares of 1."""

    label: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    title: str
    dots: Sequence[Dot]


def scatter(panels: Sequence[Panel], label: str) -> str:
    """The panels side by side with one vertical axis, in percent; the horizontal ones are logarithmic.

    At least one panel must have a dot.
    """
    dots = [dot for panel in panels for dot in panel.dots]
    low, high, step = _ticks(min(dot.low for dot in dots), max(dot.high for dot in dots))
    canvas = Canvas()
    for index, panel in enumerate(panels):
        _draw(canvas, panel, index * PANEL_WIDTH, (low, high, step))
    return canvas.render(PANEL_WIDTH * len(panels), PANEL_HEIGHT, label)


def _draw(canvas: Canvas, panel: Panel, left: float, axis: tuple[float, float, float]) -> None:
    low, high, step = axis
    begin, end = left + LEFT, left + PANEL_WIDTH - RIGHT
    bottom = PANEL_HEIGHT - BOTTOM
    first, last = _decades([dot.x for dot in panel.dots])

    def across(x: float) -> float:
        return begin + (log10(x) - log10(first)) / (log10(last) - log10(first)) * (end - begin)

    def up(y: float) -> float:
        return bottom - (y - low) / (high - low) * (bottom - TOP)

    for index in range(round((high - low) / step) + 1):
        y = low + index * step
        canvas.path([(begin, up(y)), (end, up(y))], style="line", arrow=False)
        canvas.text(begin - 6, up(y) + 4, f"{100 * y:g} %", size=10, room=LEFT, style="soft", anchor="end")
    for x in _marks(first, last):
        canvas.path([(across(x), bottom), (across(x), bottom + 4)], style="line", arrow=False)
        canvas.text(across(x), bottom + 16, _short(x), size=10, room=50, style="soft", anchor="middle")
    middle = (begin + end) / 2
    canvas.text(middle, PANEL_HEIGHT - 8, panel.title, size=11, room=end - begin, bold=True, anchor="middle")
    places = [(across(dot.x), up(dot.y)) for dot in panel.dots]
    for dot, (x, y) in zip(panel.dots, places, strict=True):
        canvas.path([(x, up(dot.low)), (x, up(dot.high))], style="line", arrow=False)
        canvas.box(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS, style="flow", radius=RADIUS)
    for dot, (x, y), (label_x, label_y) in zip(panel.dots, places, label_places(places), strict=True):
        if abs(label_y - y) > LABEL_HEIGHT / 2:
            near = label_x - LABEL_WIDTH / 2 if label_x > x else label_x + LABEL_WIDTH / 2
            canvas.path([(x, y), (near, label_y)], style="line", arrow=False)
        canvas.text(label_x, label_y + 4, dot.label, size=10, room=2 * LABEL_WIDTH, bold=True, anchor="middle")


def label_places(dots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Middles of the dots' labels, in their order: beside the dot, or as near to that as the others leave room."""
    taken = [(x, y, 2.0 * RADIUS, 2.0 * RADIUS) for x, y in dots]
    found: dict[int, tuple[float, float]] = {}

    def free(x: float, y: float) -> bool:
        return all(
            2 * abs(x - a) >= LABEL_WIDTH + width or 2 * abs(y - b) >= LABEL_HEIGHT + height
            for a, b, width, height in taken
        )

    for index in sorted(range(len(dots)), key=lambda index: (dots[index][1], index)):
        x, y = dots[index]
        moves = sorted(range(-2 * len(dots), 2 * len(dots) + 1), key=lambda move: (abs(move), move))
        spots = [(x + side, y + move * LABEL_HEIGHT / 2) for move in moves for side in SIDES]
        found[index] = next((spot for spot in spots if free(*spot)), spots[0])
        taken.append((*found[index], LABEL_WIDTH, LABEL_HEIGHT))
    return [found[index] for index in range(len(dots))]


def _ticks(low: float, high: float) -> tuple[float, float, float]:
    """Round ends of the vertical axis and its step."""
    rough = max(high - low, 1e-3) / 5
    magnitude = 10.0 ** floor(log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * (1 - 1e-9))
    begin, end = floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step
    return begin, end if end > begin else begin + step, step


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis, with some room; they are at least a factor of 2 apart."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    room = max((high / low) ** 0.08, 2**0.5 * (low / high) ** 0.5)
    return low / room, high * room


def _marks(first: float, last: float) -> list[float]:
    """1, 2 and 5 times powers of ten, between the ends."""
    powers = range(floor(log10(first)), ceil(log10(last)) + 1)
    return [m * 10.0**p for p in powers for m in (1, 2, 5) if first <= m * 10.0**p <= last]


def _short(x: float) -> str:
    """For example 20k."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if x >= unit:
            return f"{x / unit:g}{name}"
    return f"{x:g}"
