"""Ways of the edges that do not just lead from one row to the next: on tracks left of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mintaka_cosim.picture.facts import EdgeFacts


@dataclass(frozen=True)
class Arc:
    """An edge on a track (0 is nearest to the rows), with the places of its ends on the rows' left sides.

    leaves, arrives : (place, places) of the source's and target's row, counted from the top.
    """

    edge: EdgeFacts
    track: int
    leaves: tuple[int, int]
    arrives: tuple[int, int]


def straight(edges: Sequence[EdgeFacts]) -> dict[int, EdgeFacts]:
    """By target: the edge that comes straight from the row above; the first, where there are several."""
    found: dict[int, EdgeFacts] = {}
    for edge in edges:
        if edge.target == edge.source + 1 and not edge.delayed:
            found.setdefault(edge.target, edge)
    return found


def arcs(edges: Sequence[EdgeFacts]) -> list[Arc]:
    """All other edges. Short ones get the inner tracks, and no two on a track overlap."""
    down = {id(edge) for edge in straight(edges).values()}
    rest = sorted(
        (edge for edge in edges if id(edge) not in down), key=lambda e: (abs(e.target - e.source), e.target, e.source)
    )
    ends: dict[int, list[tuple[int, int, int]]] = {}  # by row: (direction, order, which end of which edge)
    for number, edge in enumerate(rest):
        for which, row, other in ((0, edge.source, edge.target), (1, edge.target, edge.source)):
            ends.setdefault(row, []).append(((other > row) - (other < row), other, 2 * number + which))
    places = {end: (place, len(row)) for row in ends.values() for place, (_, _, end) in enumerate(sorted(row))}
    tracks: list[list[tuple[int, int]]] = []
    found = []
    for number, edge in enumerate(rest):
        span = (min(edge.source, edge.target), max(edge.source, edge.target))
        track = next((t for t, taken in enumerate(tracks) if all(_apart(span, other) for other in taken)), len(tracks))
        if track == len(tracks):
            tracks.append([])
        tracks[track].append(span)
        found.append(Arc(edge, track, places[2 * number], places[2 * number + 1]))
    return found


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Spans of rows that share no row."""
    return one[1] < other[0] or other[1] < one[0]
