"""Every counter that goes up and down, while a whole accelerator runs: what it holds is what was added and taken away,
also where both happen in one cycle, and where what it counts is full."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from amaranth.hdl import Const, Module, Mux, Value
from amaranth.sim import Simulator
from formal.kit import Inside
from handmade import conv_network, dense_network
from strategies import random_inputs

from mintaka.artifact import Network, run
from mintaka_cosim.bench.words import WORD, pack_beats
from mintaka_hw.plan import Plan, make_plan
from mintaka_hw.plan.events import ENTRIES_AHEAD, LIST_SLOTS
from mintaka_hw.rtl import Accelerator

CYCLES = 2400
CLOSED = 400  # cycles in which the sink takes nothing, until all behind it is full


@dataclass(frozen=True)
class Counted:
    """A counter: its value, what is added to it and taken from it, and the most that it can hold (None: not bounded by
    itself). Places that are free are counted down from there. kind : the same in every layer."""

    kind: str
    where: str
    holds: Value
    up: Value
    down: Value
    most: int | None


def counted(inside: Inside, plan: Plan) -> list[Counted]:
    """All counters of an accelerator's layers, and of its gate for steps at run time."""
    found = []
    value = inside.value
    for layer in plan.layers:
        core = f"layer_{layer.name}"
        at = (core, "collector")
        lists = LIST_SLOTS
        found += [
            Counted("places", core, *(value(n, core) for n in ("places", "taken")), value("spend", core, "replay"),
                    layer.output_depth),
            Counted("waiting", core, *(value(n, *at) for n in ("waiting", "closes", "fetches")), None),
            Counted("kept", core, *(value(n, *at) for n in ("kept", "begins", "released")), lists),
            Counted("ahead", core, *(value(n, core, "replay", "walker") for n in ("places", "taken", "walk")),
                    ENTRIES_AHEAD),
        ]  # fmt: skip
        for number, edge in enumerate(layer.edges):
            if edge.window_buffer is None:
                continue
            at, window = (core, f"windows{number}"), edge.window_buffer.kept
            accept, starts = (value(n, *at) for n in ("accept", "row_starts"))
            ends = Mux(value("frame_ends", *at), Const(window.incoming.rows), 0)
            found += [
                Counted("rows", core, value("held", *at), accept & starts, value("freed", *at), window.buffer_rows),
                Counted("arrived", core, value("arrived", *at), value("row_is_complete", *at), ends, None),
            ]
    if plan.run_time:
        ended = value("ended", "steps")
        found += [
            Counted(
                "left",
                f"steps, part {part}",
                value(f"left_{part}", "steps"),
                value("begins", "steps"),
                ended[part],
                None,
            )
            for part in range(len(ended))
        ]
    return found


NETWORKS = (
    dense_network([9, 5, 4, 3], time_steps=3, threshold=1, seed=1),
    conv_network([1, 3, 2], picture=(4, 3), time_steps=2, threshold=2, seed=1),
)


def test_what_goes_up_and_down() -> None:
    """Whatever happens in one cycle; and that it does happen, and that everything is full and empty once."""
    seen: Counter[tuple[str, str]] = Counter()
    bounded: dict[str, bool] = {}
    for network in NETWORKS:
        for each in observed(network, seen):
            bounded[each.kind] = each.most is not None
    assert bounded == dict.fromkeys(("places", "kept", "ahead", "rows"), True) | dict.fromkeys(
        ("waiting", "arrived", "left"), False
    )
    for kind, has_most in bounded.items():
        for what in ("both", "empty", *(["full"] if has_most else [])):
            assert seen[kind, what] > 0, f"{kind} was never {what}"


def observed(network: Network, seen: Counter[tuple[str, str]]) -> list[Counted]:
    """A sink that is closed until everything is full, then open, then slow; samples of all numbers of steps."""
    plan = make_plan(network, 2, run_time=True)
    m = Module()
    top = Accelerator(plan)
    inside = Inside(m, top)
    watched = counted(inside, plan)
    rng = random.Random(1)
    T, words = network.time_steps, plan.input.words
    x = random_inputs(network, 200, seed=2, rate=0.4)
    x[:40] = 0  # lists without an entry are as many as there are slots for lists
    beats = pack_beats(x, plan.input.word_elements, network.input.bits, static=False, order=plan.input_order)
    steps = [T] * 60 + [rng.choice((1, T, T)) for _ in x[60:]]  # another number waits until nothing is in flight
    logits: list[int] = []
    cycle = 0  # in the second half words come ever more slowly, so that nothing behind them is full

    async def source(ctx: Any) -> None:
        for sample, number in enumerate(steps):
            for beat in beats[sample, : number * words]:
                while cycle < CYCLES and rng.random() < max(0, 2 * cycle - CYCLES) / CYCLES:
                    await ctx.tick()
                ctx.set(top.i_data, sum(int(w) << (WORD * n) for n, w in enumerate(beat)))
                ctx.set(top.steps, number)
                ctx.set(top.i_valid, 1)
                ready = False
                while not ready:
                    *_, ready = await ctx.tick().sample(top.i_ready)
                    if cycle == CYCLES:
                        return
                ctx.set(top.i_valid, 0)

    async def sink(ctx: Any) -> None:
        nonlocal cycle
        for cycle in range(1, CYCLES + 1):
            ready = cycle > CLOSED and (cycle % 300 < 200 or rng.random() < 0.2)
            ctx.set(top.o_ready, ready)
            *_, valid, logit = await ctx.tick().sample(top.o_valid, top.o_logit)
            if valid and ready:
                logits.append(logit)

    holds: dict[tuple[str, str], int] = {}

    async def watch(ctx: Any) -> None:
        signals = [signal for each in watched for signal in (each.holds, each.up, each.down)]
        while True:
            _, _, *values = await ctx.tick().sample(*signals)
            for each, now, up, down in zip(watched, values[::3], values[1::3], values[2::3], strict=True):
                wanted = holds.get((each.kind, each.where), now)
                assert now == wanted, f"{each.kind} of {each.where} holds {now} instead of {wanted}"
                most = now if each.most is None else each.most
                assert now <= most, f"{each.kind} of {each.where} holds {now}, more than {most}"
                holds[each.kind, each.where] = now + up - down
                assert holds[each.kind, each.where] >= 0, f"{each.kind} of {each.where} goes below 0"
                seen[each.kind, "both"] += bool(up and down)
                seen[each.kind, "empty"] += now == 0
                seen[each.kind, "full"] += now == each.most

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    expected = []
    for sample, number in enumerate(steps):
        expected += run(replace(network, time_steps=number), x[sample : sample + 1, :number]).logits[0].tolist()
    assert logits == expected[: len(logits)]
    assert len(logits) > 30
    return watched
