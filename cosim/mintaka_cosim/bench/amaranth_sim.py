"""The accelerator in Amaranth's own simulator: the same streams, taps and counters, for small networks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.sim import Simulator

from mintaka.artifact.compare import trace_of
from mintaka_cosim.bench.recording import COUNTERS, Recording, in_samples, per_sample
from mintaka_cosim.bench.words import WORD, arrange, pack_beats, split_fields
from mintaka_hw.plan import LayerPlan, Plan, packed_margins
from mintaka_hw.rtl import Accelerator
from mintaka_hw.rtl.layer import tapped


class SimulationTimeoutError(RuntimeError):
    """The design gave no result within the allowed cycles."""


@dataclass
class _Seen:
    """Raw observations, in the order in which they were made."""

    beats: list[tuple[int, ...]] = field(default_factory=list)  # logit, class, o_cycles, cycle, steps
    ends: dict[str, list[int]] = field(default_factory=dict)  # with early exit, by layer: taps up to each sample's end
    accepted: list[int] = field(default_factory=list)
    counters: dict[str, list[list[int]]] = field(default_factory=dict)
    taps: dict[str, list[list[list[int]]]] = field(default_factory=dict)


def simulate_amaranth(
    plan: Plan,
    inputs: np.ndarray,
    *,
    steps: Sequence[int] | None = None,
    stalls: float = 0.0,
    seed: int = 0,
    reset_after: int | None = None,
    max_cycles: int = 100_000,
) -> Recording:
    """Stream `inputs` back to back through `Accelerator(plan, taps=True)`.

    steps : of a plan with `run_time`, what the port `steps` says with each sample's first word, of which so many frames
        are sent (0, and more than the network's: all). At other times the port holds random numbers.
    stalls : probability, per cycle, that the input has no beat and that the output is not ready.
    reset_after : cycle in which the design is reset, in mid-sample; everything is then sent again from the start.

    Raises SimulationTimeoutError after `max_cycles` without all results.
    """
    top = Accelerator(plan, taps=True)
    source = plan.network.input
    words = pack_beats(inputs, plan.input.word_elements, source.bits, static=source.static, order=plan.input_order)
    network, T = plan.network, plan.network.time_steps
    asked = [T] * len(inputs) if steps is None else list(steps)
    taken = [each if 1 <= each <= T else T for each in asked]
    beats: list[int] = []
    firsts: dict[int, int] = {}  # by the number of a sample's first beat, its number
    for sample, number in enumerate(taken):
        firsts[len(beats)] = sample
        sent = words[sample] if source.static else words[sample, : number * plan.input.words]
        beats += [sum(int(w) << (WORD * i) for i, w in enumerate(beat)) for beat in sent]
    seen = _Seen()
    cycles = 0

    async def stream(ctx: Any, limit: int | None) -> None:
        """Run until every logit came, or for `limit` cycles."""
        nonlocal seen, cycles
        names = [layer.name for layer in plan.layers]
        seen = _Seen(ends={n: [] for n in names}, counters={n: [] for n in names}, taps={n: [] for n in names})
        source, sink, noise = (random.Random(seed + n) for n in range(3))
        if plan.run_time and plan.exits:
            ctx.set(top.margins, packed_margins(network.output.margins, plan.logit_width))
        position, offered = 0, False
        for cycle in range(max_cycles if limit is None else limit):
            offered = offered or source.random() >= stalls
            valid = offered and position < len(beats)
            ctx.set(top.i_valid, valid)
            ctx.set(top.i_data, beats[position] if valid else 0)
            if plan.run_time:
                given = asked[firsts[position]] if valid and position in firsts else noise.randrange(T + 1)
                ctx.set(top.steps, given)
            ready = sink.random() >= stalls
            ctx.set(top.o_ready, ready)
            accepted = valid and ctx.get(top.i_ready)
            if accepted and position in firsts:
                seen.accepted.append(cycle)
            if ready and ctx.get(top.o_valid):
                last = bool(ctx.get(top.o_last))
                done = ctx.get(top.o_steps) if plan.exits else taken[len(seen.beats) // network.classes]
                seen.beats.append((ctx.get(top.o_logit), ctx.get(top.o_class), ctx.get(top.o_cycles), cycle, done))
                if last != (len(seen.beats) % network.classes == 0):
                    raise AssertionError(f"o_last is {last} on logit {len(seen.beats)} (seed {seed})")
            for layer in plan.layers:
                _observe(ctx, top, layer, seen)
                if plan.exits and ctx.get(top.restart):
                    seen.ends[layer.name].append(len(seen.taps[layer.name]))
            await ctx.tick()
            if accepted:
                position, offered = position + 1, False
            cycles = cycle + 1
            frames = 0 if plan.exits else sum(taken)
            if len(seen.beats) == len(inputs) * network.classes and all(
                len(seen.taps[layer.name]) >= frames * layer.folding.states for layer in plan.layers
            ):
                return  # a layer that is read with a delay only may end after the logits
        if limit is None:
            raise SimulationTimeoutError(f"{len(seen.beats)} logits after {max_cycles} cycles (seed {seed})")

    wrapper = Module()
    wrapper.domains.sync = domain = ClockDomain("sync")
    reset = Signal()
    wrapper.d.comb += domain.rst.eq(reset)
    wrapper.submodules.top = top

    async def bench(ctx: Any) -> None:
        if reset_after is not None:
            await stream(ctx, reset_after)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        await stream(ctx, None)

    simulator = Simulator(wrapper)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return _recording(plan, taken, seen, cycles)


def _observe(ctx: Any, top: Accelerator, layer: LayerPlan, seen: _Seen) -> None:
    name = layer.name

    def port(suffix: str) -> int:
        return int(ctx.get(getattr(top, f"{name}_{suffix}")))

    if port("done"):
        seen.counters[name].append([port(counter) for counter in COUNTERS])
    if port("tap_valid"):
        seen.taps[name].append(
            [
                split_fields(port(f"tap_{n}"), layer.folding.lanes, width, signed=n != "s")
                for n, width in tapped(layer).items()
            ]
        )


def _recording(plan: Plan, steps: list[int], seen: _Seen, cycles: int) -> Recording:
    network, N = plan.network, len(steps)
    out = np.array(seen.beats, np.int64).reshape(N, network.classes, 5)
    traces = {}
    for layer in plan.layers:
        words = network.time_steps * layer.folding.states
        taps = np.array(seen.taps[layer.name], np.int64)  # (words, fields, lanes)
        ends = seen.ends[layer.name][:N] if plan.exits else (layer.folding.states * np.cumsum(steps)).tolist()
        taps = in_samples(taps, ends, words)
        shape = network.time_steps, layer.folding.windows, layer.folding.groups, layer.node.shape_out
        found = {name: arrange(taps[:, field], *shape) for field, name in enumerate(tapped(layer))}
        traces[layer.name] = trace_of(found)
    return Recording(
        logits=out[:, :, 0],
        classes=out[:, -1, 1],
        accepted=np.array(seen.accepted[:N], np.int64),
        finished=out[:, -1, 3],
        cycles=out[:, -1, 2],
        steps=out[:, -1, 4],
        counters={x.name: per_sample(np.array(seen.counters[x.name], np.int64)[:N]) for x in plan.layers},
        total_cycles=cycles,
        traces=traces,
    )
