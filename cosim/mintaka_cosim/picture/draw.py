"""The picture: a row per node, its edges on the left, its hardware and its cycles on the right."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka_cosim.picture.arcs import Arc, arcs, straight
from mintaka_cosim.picture.facts import CycleFacts, EdgeFacts, Facts, NodeFacts, count
from mintaka_cosim.picture.svg import Canvas, shortened, text_width, wrapped
from mintaka_hw.plan import StageListing

MARGIN, GAP, PADDING = 24.0, 34.0, 12.0
NODE_WIDTH, STAGE_WIDTH, CYCLE_WIDTH = 290.0, 430.0, 270.0
SMALL, NORMAL, NAME, TITLE = 10.5, 11.5, 13.0, 18.0
LINE, TRACK = 15.0, 16.0
HEAD = 104.0
KINDS = {"weights": "weights", "state": "state", "current": "state", "bias": "tables", "threshold": "tables"}
KINDS |= {
    "reset_by": "tables",
    "fanout": "tables",
    "index": "tables",
    "codebook": "tables",
}  # everything else holds words on their way
LEGEND = (("weights", "weights"), ("state", "state"), ("lists", "lists and queues"), ("tables", "tables"))


@dataclass(frozen=True)
class Row:
    """Where a node's row is, and what its memories say."""

    top: float
    height: float
    memories: list[str]

    @property
    def bottom(self) -> float:
        return self.top + self.height


def draw(facts: Facts) -> str:
    """The SVG file."""
    found = arcs(facts.edges)
    tracks = 1 + max((arc.track for arc in found), default=-1)
    room = max((text_width(arc.edge.label, SMALL) for arc in found), default=0.0)
    zone = room + 28  # where the labels are
    left = MARGIN + (zone + (tracks - 1) * TRACK + 4 if found else 0)
    rows = _rows(facts)
    built = bool(facts.stages)
    width = left + NODE_WIDTH + MARGIN + (GAP + GAP / 2 + STAGE_WIDTH + CYCLE_WIDTH if built else 0)
    width = max(width, 620.0)
    height = rows[-1].bottom + MARGIN + (26 if built else 0)
    canvas = Canvas()
    canvas.text(MARGIN, 36, facts.title, size=TITLE, bold=True, room=width - 2 * MARGIN)
    said = facts.subtitle if facts.problem is None else f"{facts.subtitle}; no hardware: {facts.problem}"
    canvas.text(MARGIN, 56, said, size=NORMAL, style="soft", room=width - 2 * MARGIN)
    for arc in found:
        _arc(canvas, arc, rows, left, zone)
    for target, edge in straight(facts.edges).items():
        _straight(canvas, edge, rows[target - 1], rows[target], left)
    for node, row in zip(facts.nodes, rows, strict=True):
        _node(canvas, node, row, left)
    if built:
        _hardware(canvas, facts, rows, left + NODE_WIDTH + GAP)
    return canvas.render(width, height, f"{facts.title}: network and accelerator")


def _rows(facts: Facts) -> list[Row]:
    rows: list[Row] = []
    top = HEAD
    for node in facts.nodes:
        stage = facts.stages.get(node.name)
        memories: list[str] = []
        if stage is not None:
            parts = [f"{memory.name.replace('_', ' ')} {memory.depth:,}×{memory.width:,}" for memory in stage.memories]
            memories = wrapped(parts, SMALL, STAGE_WIDTH - 2 * PADDING)
        height = max(PADDING + 14 + len(node.lines) * LINE, PADDING + 32 + len(memories) * LINE if stage else 0)
        rows.append(Row(top, height + PADDING, memories))
        top = rows[-1].bottom + GAP
    return rows


# ---- the network


def _node(canvas: Canvas, node: NodeFacts, row: Row, left: float) -> None:
    canvas.box(left, row.top, NODE_WIDTH, row.height)
    inside = NODE_WIDTH - 2 * PADDING
    op = shortened(node.op, SMALL, inside * 0.65)
    wide = text_width(op, SMALL)
    canvas.text(left + PADDING, row.top + PADDING + 10, node.name, size=NAME, bold=True, room=inside - wide - 10)
    canvas.text(
        left + NODE_WIDTH - PADDING, row.top + PADDING + 10, op, size=SMALL, style="flow", room=wide, anchor="end"
    )
    for number, line in enumerate(node.lines, 1):
        style = "ink" if number == 1 else "soft"
        canvas.text(left + PADDING, row.top + PADDING + 12 + number * LINE, line, style=style, room=inside)


def _straight(canvas: Canvas, edge: EdgeFacts, above: Row, below: Row, left: float) -> None:
    x = left + NODE_WIDTH / 2
    canvas.path([(x, above.bottom), (x, below.top - 1)])
    canvas.text(
        x + 8, (above.bottom + below.top) / 2 + 4, edge.label, size=SMALL, style="flow", room=NODE_WIDTH / 2 - 8
    )


def _arc(canvas: Canvas, arc: Arc, rows: list[Row], left: float, zone: float) -> None:
    """Out of the source's left side, along the track, into the target's; the label sits over the arrow."""
    style = "late" if arc.edge.delayed else "flow"
    start, end = _place(rows[arc.edge.source], arc.leaves), _place(rows[arc.edge.target], arc.arrives)
    turn = left - zone - arc.track * TRACK
    canvas.path([(left, start), (turn, start), (turn, end), (left - 1, end)], style=style, dashed=arc.edge.delayed)
    canvas.text(left - 12, end - 4, arc.edge.label, size=SMALL, style=style, room=zone, anchor="end")


def _place(row: Row, place: tuple[int, int]) -> float:
    return row.top + row.height * (place[0] + 1) / (place[1] + 1)


# ---- the hardware


def _hardware(canvas: Canvas, facts: Facts, rows: list[Row], x: float) -> None:
    cycles = facts.cycles
    far = x + STAGE_WIDTH + GAP / 2
    canvas.text(x, HEAD - 12, "Lanes and memories, words×bits", size=NORMAL, style="soft", room=STAGE_WIDTH)
    if cycles is not None:
        said = f"Cycles: {cycles.interval:,.1f} per sample"
        canvas.text(far, HEAD - 28, said, size=NORMAL, style="soft", room=CYCLE_WIDTH)
        canvas.text(far, HEAD - 12, cycles.source, size=SMALL, style="soft", room=CYCLE_WIDTH)
    most = max(stage.memory_bits for stage in facts.stages.values())
    canvas.box(x, rows[0].top, STAGE_WIDTH, rows[0].height)
    top = rows[0].top + PADDING + 10
    canvas.text(x + PADDING, top, facts.input_words, size=NORMAL, bold=True, room=STAGE_WIDTH - 2 * PADDING)
    for node, above, row in zip(facts.nodes[1:], rows, rows[1:], strict=False):
        canvas.path(
            [(x + STAGE_WIDTH / 2, above.bottom), (x + STAGE_WIDTH / 2, row.top - 1)], style="line", arrow=False
        )
        _stage(canvas, facts.stages[node.name], row, x, most)
        if cycles is not None and node.name in cycles.busy:
            _busy(canvas, cycles, node.name, row, far)
    y = rows[-1].bottom + 28
    place = x
    for style, name in LEGEND:
        canvas.box(place, y - 9, 10, 10, style=style, radius=2)
        canvas.text(place + 15, y, name, size=SMALL, style="soft", room=130)
        place += 15 + text_width(name, SMALL) + 18


def _stage(canvas: Canvas, stage: StageListing, row: Row, x: float, most: int) -> None:
    inside = STAGE_WIDTH - 2 * PADDING
    canvas.box(x, row.top, STAGE_WIDTH, row.height)
    folding = stage.op
    if stage.lanes is not None:
        folding = f"{count(stage.lanes, 'lane')}, {count(stage.groups or 1, 'group')}"
        folding += f", {stage.windows:,} windows" if (stage.windows or 1) > 1 else ""
    bits = f"{stage.memory_bits:,} bits"
    wide = text_width(bits, NORMAL)
    y = row.top + PADDING + 10
    canvas.text(x + PADDING, y, folding, size=NORMAL, bold=True, room=inside - wide - 10)
    canvas.text(x + STAGE_WIDTH - PADDING, y, bits, size=NORMAL, style="soft", room=wide, anchor="end")
    at = x + PADDING
    for kind, total in _by_kind(stage).items():
        wide = max(inside * total / most, 1.5)
        canvas.box(at, y + 9, wide, 8, style=kind, radius=1)
        at += wide
    for number, line in enumerate(row.memories):
        canvas.text(x + PADDING, y + 34 + number * LINE, line, size=SMALL, style="soft", room=inside)


def _by_kind(stage: StageListing) -> dict[str, int]:
    found = dict.fromkeys((style for style, _ in LEGEND), 0)
    for memory in stage.memories:
        found[KINDS.get(memory.name, "lists")] += memory.bits
    return {kind: bits for kind, bits in found.items() if bits}


def _busy(canvas: Canvas, cycles: CycleFacts, name: str, row: Row, x: float) -> None:
    """A bar of the cycles in which the layer is occupied; the full part of it adds weights."""
    slowest = name == cycles.slowest
    busy, useful = cycles.busy[name], cycles.useful[name]
    scale = CYCLE_WIDTH / max(cycles.interval, *cycles.busy.values())
    middle = row.top + row.height / 2
    said = f"{busy:,.1f} busy, {useful:.1%} with events"
    canvas.text(x, middle - 12, said, size=NORMAL, bold=slowest, style="mark" if slowest else "ink", room=CYCLE_WIDTH)
    canvas.box(x, middle - 4, max(busy * scale, 1.5), 12, style="line", radius=2)
    canvas.box(x, middle - 4, max(busy * useful * scale, 1.5), 12, style="mark" if slowest else "weights", radius=2)
    if slowest:
        canvas.text(x, middle + 24, "the slowest layer", size=SMALL, style="mark", room=CYCLE_WIDTH)
