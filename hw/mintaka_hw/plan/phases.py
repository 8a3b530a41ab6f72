"""What a layer core goes through in a sample: its time steps, and ahead of them passes over direct edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mintaka_hw.plan.edge import EdgePlan


@dataclass(frozen=True, eq=False)
class Phases:
    """A sample is a row of phases, each over all windows: a pass for each direct edge whose sum must be known on its
    own, then the time steps.

    cuba : True for CUBA-LIF neurons.
    """

    edges: tuple[EdgePlan, ...]
    time_steps: int
    cuba: bool

    @cached_property
    def number(self) -> int:
        return len(self.passes) + self.time_steps

    @cached_property
    def merged(self) -> bool:
        """True where the only input is direct and its sum is formed in the first step: K there is the later current.

        Not for CUBA-LIF, where K is not the current, nor with shifts both ways, where the sum's scale is not K's.
        """
        edge = self.edges[0].edge
        alone = len(self.edges) == 1 and self.edges[0].source.static
        return alone and not self.cuba and not (edge.shift and edge.input_shift)

    @cached_property
    def passes(self) -> tuple[int, ...]:
        """Numbers of the direct edges that have a pass of their own, by falling left shift.

        In this order every sum so far is a multiple of the next 2^shift, so that it can go through the next pass's
        accumulators: ((c >> shift << input_shift) + sum) >> input_shift << shift = c + (sum >> input_shift << shift).
        """
        direct = [n for n, edge in enumerate(self.edges) if edge.source.static and not self.merged]
        return tuple(sorted(direct, key=lambda n: -self.edges[n].edge.shift))

    @cached_property
    def step_edges(self) -> tuple[int, ...]:
        """Numbers of the edges whose words make the lists of the time steps."""
        return tuple(n for n in range(len(self.edges)) if n not in self.passes)

    @cached_property
    def listed(self) -> int:
        """So many of the first phases have an event list; in the others every window is one slot per group."""
        return len(self.passes) + (1 if self.merged else self.time_steps if self.step_edges else 0)

    @cached_property
    def meetings(self) -> tuple[tuple[int, ...], ...]:
        """The edges that meet in a list, for each kind of phase: the passes, and the steps where they have a list."""
        steps = (self.step_edges,) if self.step_edges else ()
        return (*((number,) for number in self.passes), *steps)

    def edges_of(self, phase: int) -> tuple[int, ...]:
        """The edges that meet in a list of that phase, which has one."""
        return (self.passes[phase],) if phase < len(self.passes) else self.step_edges

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """(input_shift, left shift) of the accumulators' sum: for each pass, and for the steps."""
        passes = [(self.edges[n].edge.input_shift, self.edges[n].edge.shift) for n in self.passes]
        return (*passes, (self.edges[0].edge.input_shift if self.merged else 0, 0))

    def plane_shift(self, number: int) -> int:
        """Left shift of every event of that edge; a pass shifts the sum instead."""
        return 0 if number in self.passes else self.edges[number].edge.shift
