"""The whole accelerator: cores and the links between them, flat ports, counters and taps."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, DomainRenamer, Module, ResetInserter, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mintaka_hw.plan import JoinPlan, LayerPlan, Plan, PoolPlan
from mintaka_hw.plan.layer import COUNTER_WIDTH
from mintaka_hw.rtl.exit import EarlyExit, SampleGate
from mintaka_hw.rtl.join import JoinCore
from mintaka_hw.rtl.layer import LayerCore, tapped
from mintaka_hw.rtl.link import Fork, Queue
from mintaka_hw.rtl.logits import LogitOrder, LogitSerializer
from mintaka_hw.rtl.pool import PoolCore


class Accelerator(wiring.Component):
    """One network as a stream processor; ports are flat, so that their names are the same in every tool.

    Attributes
    ----------
    i_valid, i_ready, i_data : stream of input words
        Element e in bits [e * bits +: bits]; a direct input once per sample, spikes and counts once per time step. Flat
        and for a dense layer in C order; for a convolution or a pool one pixel per beat, row by row.
    o_valid, o_ready, o_logit, o_class, o_last, o_cycles : stream of logits
        One per beat in class order (of several pixels: channel, row, column). With `o_last`, `o_class` is the argmax
        (lowest index wins) and `o_cycles` the cycles since the first beat after reset was accepted.
    artifact_hash : the first 64 bits of the artifact's content hash
    o_steps : with margins, and with `o_last`, the steps that the sample took
    restart : with margins, one cycle in which a sample ends; what was begun behind its last step is dropped
    L_done, L_sops, L_events, L_busy : per layer L, in the cycle of `L_done` the counts of all samples so far
    L_tap_valid, L_tap_k, L_tap_s, L_tap_u, L_tap_j : with `taps`, per layer L, each group of each step: K, and where
        its neurons have them spikes, membranes and synaptic currents
    """

    def __init__(self, plan: Plan, *, taps: bool = False):
        self.plan = plan
        self.taps = taps
        head = plan.head
        ports: dict[str, Any] = {
            "i_valid": In(1),
            "i_ready": Out(1),
            "i_data": In(plan.input.word_bits),
            "o_valid": Out(1),
            "o_ready": In(1),
            "o_logit": Out(signed(head.logit_width)),
            "o_class": Out(max(1, (plan.network.classes - 1).bit_length())),
            "o_last": Out(1),
            "o_cycles": Out(COUNTER_WIDTH),
            "artifact_hash": Out(64),
        }
        if plan.exits:
            ports |= {"o_steps": Out(range(plan.network.time_steps + 1)), "restart": Out(1)}
        for layer in plan.layers:
            ports[f"{layer.name}_done"] = Out(1)
            for counter in ("sops", "events", "busy"):
                ports[f"{layer.name}_{counter}"] = Out(COUNTER_WIDTH)
            if taps:
                ports[f"{layer.name}_tap_valid"] = Out(1)
                for name, width in tapped(layer).items():
                    ports[f"{layer.name}_tap_{name}"] = Out(layer.lanes * width)
        super().__init__(ports)

    def describe(self) -> dict[str, Any]:
        network = self.plan.network
        layers = {f"layer {layer.name}": f"{layer.node.op}, {layer.lanes} lanes" for layer in self.plan.layers}
        return {
            "network": network.name,
            "input": f"{network.input.kind}, {'x'.join(map(str, network.input.shape))}, {network.input.bits} bits",
            "time steps": network.time_steps,
            **layers,
            "memory bits": self.plan.memory_bits,
            "taps": self.taps,
        }

    def elaborate(self, platform: object) -> Module:  # noqa: ARG002
        m = Module()
        cores: dict[str, LayerCore | PoolCore | JoinCore] = {}
        for stage in self.plan.stages:
            core = cores[stage.name] = self._core(stage)
            self._add(m, f"layer_{stage.name}", core)  # prefixed: a node may be named "logits"
            if isinstance(core, LayerCore):
                self._monitor(m, stage.name, core)
        source = stream.Signature(self.plan.input.word_bits).create(path=("input",))
        head = self.plan.head
        logits: LogitSerializer | EarlyExit
        if self.plan.exits:
            m.submodules.logits = logits = EarlyExit(head.logits, self.plan.network.output.margins)
            self._wire(m, self._exits(m, logits, source, cores), cores)
        else:
            self._wire(m, source, cores)
            m.submodules.logits = logits = LogitSerializer(head.logits)
        if head.windows == 1:
            wiring.connect(m, cores[head.name].o, logits.i)
        else:
            order = LogitOrder(head)
            self._add(m, "order", order)
            wiring.connect(m, cores[head.name].o, order.i)
            wiring.connect(m, order.o, logits.i)

        digits = self.plan.artifact_hash.removeprefix("sha256:")[:16]
        m.d.comb += [
            source.valid.eq(self.i_valid),
            source.payload.eq(self.i_data),
            self.i_ready.eq(source.ready),
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
        return m

    def _add(self, m: Module, name: str, component: wiring.Component) -> None:
        """As a submodule; where samples may stop early, one that `restart` resets, but for its totals."""
        restarted = (
            DomainRenamer({"total": "sync"})(ResetInserter(self.restart)(component)) if self.plan.exits else None
        )
        m.submodules[name] = component if restarted is None else restarted

    def _exits(self, m: Module, logits: EarlyExit, source: Any, cores: dict[str, Any]) -> Any:
        """Joins everything that takes part in early exit. Returns the input as the cores see it."""
        layers = [cores[layer.name] for layer in self.plan.layers]
        for core in layers:
            m.d.comb += [core.commit.eq(self.restart), core.step.eq(logits.step)]
        frames = 1 if self.plan.network.input.static else self.plan.network.time_steps
        m.submodules.gate = gate = SampleGate(self.plan.input.word_bits, frames * self.plan.input.words)
        self._join(m, source, gate.i)
        m.d.comb += [
            logits.finished.eq(Cat(core.finished for core in layers).all()),
            gate.restart.eq(logits.restart),
            self.restart.eq(logits.restart),
            self.o_steps.eq(logits.steps),
        ]
        return gate.o

    def _core(self, stage: LayerPlan | PoolPlan | JoinPlan) -> LayerCore | PoolCore | JoinCore:
        if isinstance(stage, PoolPlan):
            return PoolCore(stage)
        return JoinCore(stage) if isinstance(stage, JoinPlan) else LayerCore(stage)

    def _wire(self, m: Module, source: Any, cores: dict[str, LayerCore | PoolCore | JoinCore]) -> None:
        """Every link of the plan: from its source's fork, where it has several readers, through its queue."""
        plan = self.plan
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
                    delayed = {"frame_words": link.layout.words, "time_steps": plan.network.time_steps}
                    queue = Queue(link.layout.word_bits, link.queue, **(delayed if link.delay else {}))
                    self._add(m, f"queue_{link.name}", queue)
                    self._join(m, words, queue.i)
                    words = queue.o
                target = cores[link.target]
                self._join(m, words, target.i if isinstance(target, PoolCore) else getattr(target, f"i{link.port}"))

    def _join(self, m: Module, words: Any, reader: Any) -> None:
        m.d.comb += [reader.valid.eq(words.valid), reader.payload.eq(words.payload), words.ready.eq(reader.ready)]

    def _monitor(self, m: Module, name: str, core: LayerCore) -> None:
        ports = ["done", "sops", "events", "busy"]
        if self.taps:
            ports += ["tap_valid", *(f"tap_{field}" for field in tapped(core.layer))]
        for port in ports:
            m.d.comb += getattr(self, f"{name}_{port}").eq(getattr(core, port))
