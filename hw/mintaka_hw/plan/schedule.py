"""What a layer core goes through in a sample: its time steps, and ahead of them passes over direct edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mintaka_hw.plan.edge import EdgePlan


@dataclass(frozen=True)
class Schedule:
    """A sample is a row of *phases*, each over all windows: a preload pass for each direct edge whose sum must be known
    on its own, then the time steps.

        preload of edge 2 | preload of edge 0 | step 0 | step 1 | ... | step T - 1

    time_steps : T, of a sample; the most of them with `run_time`.
    edge_shifts : (input_shift, shift) of each edge, in bits.
    direct_edges : numbers of the edges that read a direct input.
    cuba : the neurons are CUBA-LIF.
    is_head : the layer gives logits.
    exits : samples may stop early, so that the head gives its logits after every step, and operations are counted by
        steps.
    run_time : the number of steps of a sample is an input of the core.
    """

    time_steps: int
    edge_shifts: tuple[tuple[int, int], ...] = ((0, 0),)
    direct_edges: tuple[int, ...] = ()
    cuba: bool = False
    is_head: bool = False
    exits: bool = False
    run_time: bool = False

    @classmethod
    def of(
        cls, edges: Sequence[EdgePlan], time_steps: int, *, cuba: bool, is_head: bool, exits: bool, run_time: bool
    ) -> Schedule:
        shifts = tuple((edge.edge.input_shift, edge.edge.shift) for edge in edges)
        direct = tuple(number for number, edge in enumerate(edges) if edge.source.static)
        return cls(time_steps, shifts, direct, cuba, is_head, exits, run_time)

    @cached_property
    def preloads_in_first_step(self) -> bool:
        """True where the only input is direct and its sum is formed in the first step: K there is the later current.

        Not for CUBA-LIF, where K is not the current, nor with shifts both ways, where the sum's scale is not K's.
        """
        return (
            self.direct_edges == (0,) and len(self.edge_shifts) == 1 and not self.cuba and not all(self.edge_shifts[0])
        )

    @cached_property
    def preloads(self) -> tuple[int, ...]:
        """Numbers of the direct edges that have a pass of their own, by falling left shift.

        In this order every sum so far is a multiple of the next 2^shift, so that it can go through the next pass's
        accumulators: ((c >> shift << input_shift) + sum) >> input_shift << shift = c + (sum >> input_shift << shift).
        """
        return (
            ()
            if self.preloads_in_first_step
            else tuple(sorted(self.direct_edges, key=lambda n: -self.edge_shifts[n][1]))
        )

    @cached_property
    def step_edges(self) -> tuple[int, ...]:
        """Numbers of the edges whose words make the lists of the time steps."""
        return tuple(n for n in range(len(self.edge_shifts)) if n not in self.preloads)

    @cached_property
    def phases(self) -> int:
        """How many phases a sample has; the most of them with `run_time`."""
        return len(self.preloads) + self.time_steps

    @cached_property
    def phases_with_events(self) -> int:
        """So many of the first phases have an event list; in the others every window is one slot per group."""
        steps = 1 if self.preloads_in_first_step else self.time_steps if self.step_edges else 0
        return len(self.preloads) + steps

    @cached_property
    def edges_by_phase(self) -> tuple[tuple[int, ...], ...]:
        """The edges that meet in a list, for each kind of phase: the preloads, and the steps where they have a list."""
        steps = (self.step_edges,) if self.step_edges else ()
        return (*((number,) for number in self.preloads), *steps)

    def edges_of(self, phase: int) -> tuple[int, ...]:
        """The edges that meet in a list of that phase, which has one."""
        return (self.preloads[phase],) if phase < len(self.preloads) else self.step_edges

    @cached_property
    def sum_shifts(self) -> tuple[tuple[int, int], ...]:
        """(input_shift, left shift) of the accumulators' sum: for each preload, and for the steps."""
        steps = self.edge_shifts[0][0] if self.preloads_in_first_step else 0
        return (*(self.edge_shifts[n] for n in self.preloads), (steps, 0))

    def plane_shift(self, number: int) -> int:
        """Left shift of every event of that edge; a preload shifts the sum instead."""
        return 0 if number in self.preloads else self.edge_shifts[number][1]

    @property
    def phase_bits(self) -> int:
        """Bits of the number of a slot's phase, in which all steps are one."""
        return len(self.preloads).bit_length()

    @property
    def words_after_last_step_only(self) -> bool:
        """True for a head that gives its logits once per sample."""
        return self.is_head and not self.exits
