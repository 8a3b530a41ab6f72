"""Time steps at run time: samples of any number of steps, mixed in one stream, equal the reference of so many steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from handmade import dense_network, with_margins
from hw.test_accelerator import assert_equal, draw_plan, small_networks
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, random_inputs

from mintaka.artifact import Network
from mintaka.artifact.compare import shown, trace_of
from mintaka_cosim.bench.amaranth_sim import simulate_amaranth
from mintaka_cosim.bench.recording import Recording
from mintaka_hw.plan import Plan, PlanError, make_plan, packed_margins
from mintaka_hw.rtl.steps import StepsGate

PATIENCE = 5_000  # cycles; these networks are small


def runs(steps: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Samples of one number of steps that follow one another: the number, and which they are."""
    begin = 0
    for number, same in groupby(steps):
        end = begin + len(list(same))
        yield number, slice(begin, end)
        begin = end


def part_of(seen: Recording, part: slice, steps: int) -> Recording:
    """Samples of so many steps, with cycles from the first beat of theirs."""
    start = seen.accepted[part][0]
    return replace(
        seen,
        logits=seen.logits[part],
        classes=seen.classes[part],
        accepted=seen.accepted[part] - start,
        finished=seen.finished[part] - start,
        cycles=seen.cycles[part] - (start - seen.accepted[0]),
        counters={name: rows[part] for name, rows in seen.counters.items()},
        steps=seen.steps[part],
        traces={n: trace_of({f: v[part, :steps] for f, v in shown(t).items()}) for n, t in seen.traces.items()},
    )


def assert_steps(plan: Plan, inputs: np.ndarray, steps: Sequence[int], seen: Recording, *, stalled: bool) -> None:
    """Each sample as the network of its number of steps has it; unstalled also every cycle of each run."""
    most = plan.network.time_steps
    for number, part in runs([n if 1 <= n <= most else most for n in steps]):
        x = inputs[part] if plan.network.input.static else inputs[part, :number]
        assert_equal(plan.with_steps(number), x, part_of(seen, part, number), stalled=stalled)


@examples(6)
@given(data=st.data(), network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_bit_and_cycle_exact(data: st.DataObject, network: Network, seed: int) -> None:
    plan = draw_plan(data, network, run_time=True)
    steps = data.draw(st.lists(st.integers(0, network.time_steps), min_size=4, max_size=4), label="steps")
    inputs = random_inputs(network, samples=len(steps), seed=seed)
    seen = simulate_amaranth(plan, inputs, steps=steps, max_cycles=PATIENCE)
    assert_steps(plan, inputs, steps, seen, stalled=False)


@examples(6)
@given(data=st.data(), network=small_networks(), seed=st.integers(0, 2**32 - 1), stalls=st.floats(0.05, 0.95))
def test_bit_exact_under_stalls_and_reset(data: st.DataObject, network: Network, seed: int, stalls: float) -> None:
    plan = draw_plan(data, network, run_time=True)
    steps = data.draw(st.lists(st.integers(0, network.time_steps), min_size=3, max_size=3), label="steps")
    inputs = random_inputs(network, samples=len(steps), seed=seed)
    reset_after = data.draw(st.none() | st.integers(1, 60), label="reset_after")
    limits = {"reset_after": reset_after, "max_cycles": PATIENCE * 20}
    seen = simulate_amaranth(plan, inputs, steps=steps, stalls=stalls, seed=seed, **limits)
    assert_steps(plan, inputs, steps, seen, stalled=True)


@pytest.mark.parametrize(("exits", "never"), [(False, None), (True, None), (True, 1)])
def test_every_number_of_steps_behind_each_other_one(exits: bool, never: int | None) -> None:
    """0 and what is more than T are T. never : the step after which no sample stops."""
    kind = "counts" if exits else "direct"
    network = dense_network([9, 6, 3], kind=kind, bits=4, time_steps=3, threshold=9)
    steps = [n for first in range(4) for second in range(4) for n in (first, second)]
    inputs = random_inputs(network, samples=len(steps), seed=1)
    if exits:
        network = with_margins(network, inputs, never=never)
    plan = make_plan(network, 2, run_time=True)
    seen = simulate_amaranth(plan, inputs, steps=steps, max_cycles=PATIENCE)
    assert_steps(plan, inputs, steps, seen, stalled=False)
    if exits:
        whole = {int(taken) for taken, wanted in zip(seen.steps, steps, strict=True) if wanted in (0, 3)}
        assert whole == ({1, 2, 3} if never is None else {1, 3})


def test_packed_margins() -> None:
    """A bit that says never on top of each; a margin that nothing reaches is a never."""
    assert packed_margins((5, None, 0), 3) == 0b0_000_1_000_0_101
    assert packed_margins((7, 8, 9), 3) == 0b1_000_1_000_0_111
    assert packed_margins((), 3) == 0


@pytest.mark.parametrize("steps", [0, 4])
def test_steps_that_a_plan_does_not_have(steps: int) -> None:
    plan = make_plan(dense_network([4, 3, 2], time_steps=3), run_time=True)
    with pytest.raises(PlanError, match=f"the steps of a sample must be 1 to 3, got {steps}"):
        plan.with_steps(steps)
    with pytest.raises(PlanError, match="the steps of a sample are fixed in this plan: make it with run_time=True"):
        make_plan(plan.network).with_steps(2)


def test_a_word_that_was_offered_stays() -> None:
    """Whatever a sender does to `steps` once a first word is offered behind the gate; before, the latest number counts.

    And the gate waits for each part that has a sample left.
    """
    gate = StepsGate(4, 2, 5, static=True, parts=2)

    async def bench(ctx: Any) -> None:
        ctx.set(gate.steps, 5)
        ctx.set(gate.i.valid, 1)
        for steps in (5, 2, 3, 2):  # the reader takes nothing
            ctx.set(gate.steps, steps)
            assert (ctx.get(gate.o.valid), ctx.get(gate.last_step), ctx.get(gate.begun)) == (1, 4, 1)
            await ctx.tick()
        ctx.set(gate.o.ready, 1)
        await ctx.tick().repeat(2)  # both words of the sample
        for ended in (0b00, 0b01, 0b00, 0b10):  # the parts end it one after the other
            ctx.set(gate.ended, ended)
            assert (ctx.get(gate.o.valid), ctx.get(gate.last_step), ctx.get(gate.begun)) == (0, 4, 1)
            await ctx.tick()
        ctx.set(gate.ended, 0)
        ctx.set(gate.steps, 3)
        assert (ctx.get(gate.o.valid), ctx.get(gate.last_step)) == (0, 4)
        await ctx.tick()
        assert (ctx.get(gate.o.valid), ctx.get(gate.last_step), ctx.get(gate.begun)) == (1, 2, 2)

    simulator = Simulator(gate)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
