"""A few shapes and texts as SVG, with texts that never leave their place."""

from __future__ import annotations

from html import escape

# Widths of characters in units of the font's size, on the wide side so that any sans-serif font fits.
NARROW, WIDE = frozenset("ijl.,:;|!'()[] /"), frozenset("mwMWQO@%→×—")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LIGHT = {
    "paper": "#ffffff",
    "card": "#f5f7fa",
    "line": "#c5cfdb",
    "ink": "#1a2330",
    "soft": "#566476",
    "flow": "#3d6fb6",
    "late": "#b9561a",
    "mark": "#c0362c",
    "weights": "#3d6fb6",
    "state": "#2a8a68",
    "lists": "#c58a1f",
    "tables": "#8a6fb8",
}
DARK = {
    "paper": "#12161c",
    "card": "#1c232d",
    "line": "#3b4858",
    "ink": "#e9eef4",
    "soft": "#a3b2c4",
    "flow": "#79aef2",
    "late": "#f0a35e",
    "mark": "#ff8a7a",
    "weights": "#6a9fe6",
    "state": "#5cc09a",
    "lists": "#e0b050",
    "tables": "#b59ae0",
}


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """An upper estimate in user units."""
    units = sum(0.36 if c in NARROW else 0.98 if c in WIDE else 0.72 if c.isupper() else 0.64 for c in text)
    return units * size * (1.07 if bold else 1.0)


def shortened(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """The text, or its beginning with an ellipsis where it does not fit."""
    if text_width(text, size, bold=bold) <= room:
        return text
    while text and text_width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(parts: list[str], size: float, room: float) -> list[str]:
    """Parts in lines of at most `room`, separated by a dot."""
    lines: list[str] = []
    for part in parts:
        if lines and text_width(f"{lines[-1]} · {part}", size) <= room:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


class Canvas:
    """Collects shapes in drawing order; `style` words are keys of LIGHT."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 11,
        room: float,
        style: str = "ink",
        bold: bool = False,
        anchor: str = "start",
    ) -> None:
        """One line at most `room` wide; what does not fit is in a tooltip."""
        seen = shortened(text, size, room, bold=bold)
        title = "" if seen == text else f"<title>{escape(text)}</title>"
        weight = ' font-weight="600"' if bold else ""
        side = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text class="{style}" x="{x:g}" y="{y:g}" font-size="{size:g}"{weight}{side}>{escape(seen)}{title}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, style: str = "card", radius: float = 6) -> None:
        edge = " edge" if style == "card" else ""
        self._parts.append(
            f'<rect class="{style}{edge}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
        )

    def path(
        self, points: list[tuple[float, float]], *, style: str = "flow", dashed: bool = False, arrow: bool = True
    ) -> None:
        """Straight pieces with rounded corners."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        end = f' marker-end="url(#to-{style})"' if arrow else ""
        self._parts.append(f'<path class="stroke-{style}" d="{_rounded(points)}"{dash}{end}/>')

    def render(self, width: float, height: float, label: str) -> str:
        """The whole file. Without style sheets for dark viewers it is a light picture on white."""
        size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
        arrows = "".join(
            f'<marker id="to-{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto">'
            f'<path class="{style}" d="M0 0.6 L7.4 4 L0 7.4 z"/></marker>'
            for style in ("flow", "late")
        )
        dark = f"@media (prefers-color-scheme: dark) {{ {_rules(DARK)} }}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(label)}"'
            f' font-family="{FONT}">\n<style>{_rules(LIGHT)} {dark}</style>\n<defs>{arrows}</defs>\n'
            f'<rect class="paper" width="{width:g}" height="{height:g}"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )


def _rules(colours: dict[str, str]) -> str:
    rules = [f".{name} {{ fill: {colour}; }}" for name, colour in colours.items()]
    rules += [
        f".stroke-{name} {{ fill: none; stroke: {colours[name]}; stroke-width: 1.6; }}"
        for name in ("flow", "late", "line", "mark")
    ]
    return " ".join([*rules, f".edge {{ stroke: {colours['line']}; stroke-width: 1; }}"])


def _rounded(points: list[tuple[float, float]], radius: float = 7) -> str:
    text = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        (ax, ay), (bx, by) = _towards(corner, before, radius), _towards(corner, after, radius)
        text += f" L{ax:g} {ay:g} Q{corner[0]:g} {corner[1]:g} {bx:g} {by:g}"
    return text + f" L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(start: tuple[float, float], end: tuple[float, float], far: float) -> tuple[float, float]:
    """The point `far` from start on the way to end, at most half of it."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    part = min(far, length / 2) / length
    return round(start[0] + dx * part, 2), round(start[1] + dy * part, 2)
