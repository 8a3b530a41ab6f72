"""The whole accelerator: cores and the links between them, flat ports, counters and taps."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, DomainRenamer, Module, ResetInserter, ResetSignal, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import JoinPlan, LayerPlan, Link, Plan, PoolPlan
from mintaka_hw.plan.layer import COUNTER_WIDTH
from mintaka_hw.rtl.exit import EarlyExit, SampleGate, margin_layout
from mintaka_hw.rtl.join import JoinCore
from mintaka_hw.rtl.layer import LayerCore, tapped
from mintaka_hw.rtl.link import Fork, Queue
from mintaka_hw.rtl.logits import LogitOrder, LogitSerializer
from mintaka_hw.rtl.pool import PoolCore
from mintaka_hw.rtl.steps import StepsGate


def ports_of(plan: Plan, *, taps: bool) -> dict[str, Any]:
    """The ports of the accelerator, by name."""
    head = plan.head
    ports: dict[str, Any] = {
        "i_valid": In(1),
        "i_ready": Out(1),
        "i_data": In(plan.input.word_bits),
        "o_valid": Out(1),
        "o_ready": In(1),
        "o_logit": Out(signed(head.datapath.logit_width)),
        "o_class": Out(max(1, (plan.network.classes - 1).bit_length())),
        "o_last": Out(1),
        "o_cycles": Out(COUNTER_WIDTH),
        "artifact_hash": Out(64),
    }
    if plan.exits:
        ports |= {"o_steps": Out(range(plan.network.time_steps + 1)), "restart": Out(1)}
    if plan.run_time:
        ports["steps"] = In(range(plan.network.time_steps + 1))
        if plan.exits:
            ports["margins"] = In(margin_layout(head.datapath.logit_width, plan.network.time_steps).size)
    for layer in plan.layers:
        ports[f"{layer.name}_done"] = Out(1)
        for counter in ("sops", "events", "busy"):
            ports[f"{layer.name}_{counter}"] = Out(COUNTER_WIDTH)
        if taps:
            ports[f"{layer.name}_tap_valid"] = Out(1)
            for name, width in tapped(layer).items():
                ports[f"{layer.name}_tap_{name}"] = Out(layer.folding.lanes * width)
    return ports


class Accelerator(wiring.Component):
    """One network as a stream processor; ports are flat, so that their names are the same in every tool.

    Attributes
    ----------
    i_valid, i_ready, i_data : stream of input words
        Element e in bits [e * bits +: bits]; a direct input once per sample, spikes and counts once per time step. Flat
        and for a dense layer in C order; for a convolution or a pool one pixel per beat, row by row. `i_ready` is low
        while `rst` is high.
    o_valid, o_ready, o_logit, o_class, o_last, o_cycles : stream of logits
        One per beat in class order (of several pixels: channel, row, column). With `o_last`, `o_class` is the argmax
        (lowest index wins) and `o_cycles` the cycles since the first beat after reset was accepted.
    artifact_hash : the first 64 bits of the artifact's content hash
    o_steps : with margins, and with `o_last`, the steps that the sample took
    restart : with margins, one cycle in which a sample ends; what was begun behind its last step is dropped
    steps : with `run_time`, the time steps of the sample whose first word is at `i_data`; 0 and more than T are T
    margins : with `run_time` and margins, `logit_width` + 1 bits for each step but the last, the first one's lowest:
        the margin, and above it a bit that says never. What counts is what is there when a step is judged.
    L_done, L_sops, L_events, L_busy : per layer L, in the cycle of `L_done` the counts of all samples so far
    L_tap_valid, L_tap_k, L_tap_s, L_tap_u, L_tap_j : with `taps`, per layer L, each group of each step: K, and where
        its neurons have them spikes, membranes and synaptic currents
    """

    def __init__(self, plan: Plan, *, taps: bool = False):
        self.plan = plan
        self.taps = taps
        super().__init__(ports_of(plan, taps=taps))

    def describe(self) -> dict[str, Any]:
        network, source = self.plan.network, self.plan.network.input
        kind = source.kind + ", signed" * source.signed
        layers = {f"layer {layer.name}": f"{layer.node.op}, {layer.folding.lanes} lanes" for layer in self.plan.layers}
        return {
            "network": network.name,
            "input": f"{kind}, {'x'.join(map(str, source.shape))}, {source.bits} bits",
            "time steps": f"up to {network.time_steps}" if self.plan.run_time else network.time_steps,
            **layers,
            "memory bits": self.plan.memory_bits,
            "taps": self.taps,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        plan = self.plan
        m = Module()
        cores: dict[str, LayerCore | PoolCore | JoinCore] = {}
        for stage in plan.stages:
            core = cores[stage.name] = self._core(stage)
            self._add(m, f"layer_{stage.name}", core)  # prefixed: a node may be named "logits"
            if isinstance(core, LayerCore):
                self._monitor(m, stage.name, core)
        layers = [core for core in cores.values() if isinstance(core, LayerCore)]
        source = stream.Signature(plan.input.word_bits).create(path=("input",))
        words: Any = source
        head = plan.head
        logits: LogitSerializer | EarlyExit
        gate: SampleGate | None = None
        if plan.exits:
            m.submodules.logits = logits = EarlyExit(head.logits, plan.network.output.margins, run_time=plan.run_time)
            gate = self._exits(m, logits, source, layers)
            words = gate.o
        steps = self._steps(m, words) if plan.run_time else None
        delayed = self._wire(m, words if steps is None else steps.o, cores)
        if not plan.exits:
            m.submodules.logits = logits = LogitSerializer(head.logits)
        if head.folding.windows == 1:
            wiring.connect(m, cores[head.name].o, logits.i)
        else:
            order = LogitOrder(head.name, head.folding, head.datapath.logit_width)
            self._add(m, "order", order)
            wiring.connect(m, cores[head.name].o, order.i)
            wiring.connect(m, order.o, logits.i)

        digits = plan.artifact_hash.removeprefix("sha256:")[:16]
        m.d.comb += [
            source.valid.eq(self.i_valid),
            source.payload.eq(self.i_data),
            self.i_ready.eq(source.ready & ~ResetSignal()),  # a word that a reset would lose is not taken
            self.o_valid.eq(logits.o.valid),
            logits.o.ready.eq(self.o_ready),
            self.o_logit.eq(logits.o.payload.logit),
            self.o_class.eq(logits.o.payload.winner),
            self.o_last.eq(logits.o.payload.last),
            self.artifact_hash.eq(Const(int(digits, 16), 64)),
        ]
        started = Signal()
        with m.If(started | (self.i_valid & self.i_ready)):
            m.d.sync += [started.eq(1), self.o_cycles.eq(self.o_cycles + 1)]
        if steps is not None:
            m.d.comb += [core.last_step.eq(steps.last_step) for core in layers]
            for queue in delayed:
                m.d.comb += [queue.last_step.eq(steps.last_step), queue.begun.eq(steps.begun)]
            if gate is None:
                left = self.o_valid & self.o_ready & self.o_last
                ended = [*(layer.done for layer in layers), *(queue.ended for queue in delayed), left]
                m.d.comb += steps.ended.eq(Cat(ended))
            else:
                assert isinstance(logits, EarlyExit)
                m.d.comb += [
                    gate.last_word.eq(steps.last_word),
                    logits.last_step.eq(steps.last_step),
                    logits.margins.as_value().eq(self.margins),
                ]
        return m

    def _add(self, m: Module, name: str, component: wiring.Component) -> None:
        """As a submodule; where samples may stop early, one that `restart` resets, but for its totals."""
        restarted = (
            DomainRenamer({"total": "sync"})(ResetInserter(self.restart)(component)) if self.plan.exits else None
        )
        m.submodules[name] = component if restarted is None else restarted

    def _exits(self, m: Module, logits: EarlyExit, source: Any, layers: list[LayerCore]) -> SampleGate:
        """Joins everything that takes part in early exit. Returns the gate behind which the cores are."""
        plan = self.plan
        for core in layers:
            m.d.comb += [core.commit.eq(self.restart), core.step.eq(logits.step)]
        frames = 1 if plan.network.input.static else plan.network.time_steps
        m.submodules.gate = gate = SampleGate(plan.input.word_bits, frames * plan.input.words, run_time=plan.run_time)
        self._join(m, source, gate.i)
        m.d.comb += [
            logits.finished.eq(Cat(core.finished for core in layers).all()),
            gate.restart.eq(logits.restart),
            self.restart.eq(logits.restart),
            self.o_steps.eq(logits.steps),
        ]
        return gate

    def _steps(self, m: Module, words: Any) -> StepsGate:
        """The gate at which a sample's number of steps is taken over."""
        plan = self.plan
        parts = 0 if plan.exits else len(plan.layers) + sum(link.delay for link in plan.links) + 1
        steps = StepsGate(
            plan.input.word_bits,
            plan.input.words,
            plan.network.time_steps,
            static=plan.network.input.static,
            parts=parts,
        )
        self._add(m, "steps", steps)
        self._join(m, words, steps.i)
        m.d.comb += steps.steps.eq(self.steps)
        return steps

    def _core(self, stage: LayerPlan | PoolPlan | JoinPlan) -> LayerCore | PoolCore | JoinCore:
        if isinstance(stage, PoolPlan):
            return PoolCore(stage)
        return JoinCore(stage) if isinstance(stage, JoinPlan) else LayerCore(stage)

    def _wire(self, m: Module, source: Any, cores: dict[str, LayerCore | PoolCore | JoinCore]) -> list[Queue]:
        """Every link of the plan: from its source's fork, where it has several readers, through its queue.

        Returns the queues with a delay.
        """
        plan = self.plan
        delayed: list[Queue] = []
        for name in (plan.network.input.name, *cores):
            out = source if name == plan.network.input.name else cores[name].o
            mine = [link for link in plan.links if link.source == name]
            if len(mine) > 1:
                fork = Fork(mine[0].layout.word_bits, len(mine))
                self._add(m, f"fork_{name}", fork)
                self._join(m, out, fork.i)
                outs = [getattr(fork, f"o{n}") for n in range(len(mine))]
            else:
                outs = [out] * len(mine)
            for link, words in zip(mine, outs, strict=True):
                if link.queue:
                    queue = self._queue(link)
                    self._add(m, f"queue_{link.name}", queue)
                    self._join(m, words, queue.i)
                    words = queue.o
                    delayed += [queue] if link.delay else []
                target = cores[link.target]
                self._join(m, words, target.i if isinstance(target, PoolCore) else getattr(target, f"i{link.port}"))
        return delayed

    def _queue(self, link: Link) -> Queue:
        if not link.delay:
            return Queue(link.layout.word_bits, link.queue)
        frame, steps = link.layout.words, self.plan.network.time_steps
        return Queue(
            link.layout.word_bits, link.queue, frame_words=frame, time_steps=steps, run_time=self.plan.run_time
        )

    def _join(self, m: Module, words: Any, reader: Any) -> None:
        m.d.comb += [reader.valid.eq(words.valid), reader.payload.eq(words.payload), words.ready.eq(reader.ready)]

    def _monitor(self, m: Module, name: str, core: LayerCore) -> None:
        ports = ["done", "sops", "events", "busy"]
        if self.taps:
            ports += ["tap_valid", *(f"tap_{field}" for field in tapped(core.layer))]
        for port in ports:
            m.d.comb += getattr(self, f"{name}_{port}").eq(getattr(core, port))
