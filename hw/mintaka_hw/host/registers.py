"""The register map, written once: hardware, C header, Python driver and its page are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka.artifact.document import format_version
from mintaka_hw.host.packets import ERRORS, PacketLayout, packet_layout
from mintaka_hw.plan import Plan, PlanError
from mintaka_hw.plan.layer import COUNTER_WIDTH

IDENTITY = 0x4D4E544B  # "MNTK"
MAP_VERSION = 1
ADDRESS_BITS = 16
WORD_BYTES = 4
DATA_BITS = 32
MARGINS_AT, LAYERS_AT = 0x1000, 0x2000
LAYER_STRIDE = 0x10
NEVER_BIT = 31
COUNTERS = {
    "sops": "synaptic operations",
    "events": "slots that carried an event",
    "busy": "cycles in which the layer was occupied",
}

# What a field does: "fixed" is known when the design is made, "live" comes from the design; both ignore what is written
# beside them and make a write to a register of nothing else an error. "rw" keeps what is written, within its limits.
# Ones written to "pulse" do something once; ones written to "w1c" clear what the design has set.
READ_ONLY = ("fixed", "live")


@dataclass(frozen=True)
class Field:
    """`bits` bits from bit `low` on. reset : value after reset, or the value of a fixed field.

    limits : smallest and largest value that may be written, where not all may.
    """

    name: str
    access: str
    low: int
    bits: int
    text: str
    reset: int = 0
    limits: tuple[int, int] | None = None

    @property
    def mask(self) -> int:
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """32 bits at byte `offset`. Bits without a field read as 0.

    A register with a limited field is `strict`: a write that sets bits without a field is refused too.
    """

    name: str
    offset: int
    text: str
    fields: tuple[Field, ...]

    @property
    def reset(self) -> int:
        return sum(field.reset << field.low for field in self.fields)

    @property
    def writable(self) -> bool:
        return any(field.access not in READ_ONLY for field in self.fields)

    @property
    def strict(self) -> bool:
        return any(field.limits is not None for field in self.fields)

    @property
    def access(self) -> str:
        """ "ro", "rw" or "w1c"."""
        if not self.writable:
            return "ro"
        return "w1c" if all(field.access == "w1c" for field in self.fields) else "rw"


FLAGS = {
    "done": "a result has left",
    **{name: f"input packet: {text}" for name, text in ERRORS.items()},
    "bad_read": "a register that is not there was read",
    "bad_write": "a register that is not there, or is read-only, was written",
    "bad_value": "a value that is not possible was written, and ignored",
}


def register_map(plan: Plan) -> tuple[Register, ...]:
    """All registers of a design, by offset.

    Raises PlanError where logits with margins are too wide for a register.
    """
    network = plan.network
    margins: list[Register] = []
    if plan.exits:
        if plan.logit_width > NEVER_BIT:
            raise PlanError(
                f"the head '{plan.head.name}' has logits of {plan.logit_width} bits, but registers of margins have"
                f" {NEVER_BIT}: take the margins away, or use no host interface"
            )
        margins = [
            margin_register(step, plan.logit_width, margin) for step, margin in enumerate(network.output.margins)
        ]
    facts = common_registers(
        packet_layout(plan),
        network.time_steps,
        layers=len(plan.layers),
        margins=len(margins),
        version=format_version(network),
        hash_word=hash_word(plan),
    )
    layers = [register for n, layer in enumerate(plan.layers) for register in layer_registers(n, f"`{layer.name}`")]
    return (*facts, *margins, *layers)


def hash_word(plan: Plan) -> int:
    """The first 64 bits of the artifact's hash, as the accelerator has them too."""
    return int(plan.artifact_hash.removeprefix("sha256:")[:16], 16)


def common_registers(
    packets: PacketLayout, time_steps: int, *, layers: int, margins: int, version: tuple[int, int], hash_word: int
) -> tuple[Register, ...]:
    """Those of every design. hash_word : first 64 bits of the artifact's hash."""
    fixed, counter = _fixed, _counter
    stride, per_step = packets.frame_bytes, int(not packets.static)
    high, low = divmod(hash_word, 1 << DATA_BITS)
    return (
        fixed("id", 0x00, IDENTITY, "the letters MNTK, M in the highest byte"),
        Register(
            "version",
            0x04,
            "versions",
            (
                Field("format_minor", "fixed", 0, 8, "of the artifact's format", version[1]),
                Field("format_major", "fixed", 8, 8, "of the artifact's format", version[0]),
                Field("map", "fixed", 16, 16, "of this register map", MAP_VERSION),
            ),
        ),
        fixed("hash_low", 0x08, low, "bits 31:0 of the first 64 bits of the artifact's hash"),
        fixed("hash_high", 0x0C, high, "bits 63:32 of them: the hash begins here"),
        fixed("time_steps", 0x10, time_steps, "the artifact's time steps, the most that STEPS takes"),
        fixed("classes", 0x14, packets.classes, "logits of a result"),
        fixed("layers", 0x18, layers, "layers with counters"),
        fixed("margins", 0x1C, margins, "margins of early exit; 0 where the artifact has none"),
        Register(
            "input",
            0x20,
            "an input packet",
            (
                Field("frame_bytes", "fixed", 0, 31, "bytes of a frame", stride),
                Field("per_step", "fixed", 31, 1, "1: STEPS frames, one per time step; 0: one frame", per_step),
            ),
        ),
        fixed("result_bytes", 0x24, packets.result_bytes, "bytes of a result packet"),
        Register(
            "control",
            0x40,
            "what the core does",
            (
                Field("enable", "rw", 0, 1, "1: input packets are taken; 0: the next one waits", 1),
                Field("soft_reset", "pulse", 1, 1, "write 1: forget what is in flight; counters begin anew"),
                Field("snapshot", "pulse", 2, 1, "write 1: copy all counters, in one cycle, to where they are read"),
            ),
        ),
        Register(
            "status",
            0x44,
            "what the core is at",
            (
                Field("busy", "live", 0, 1, "a sample is in flight, or a layer is not yet done with one"),
                Field("receiving", "live", 1, 1, "within an input packet"),
                Field("dropping", "live", 2, 1, "input is dropped up to TLAST"),
                Field("changing", "live", 3, 1, "STEPS or a margin was written and is not yet in effect"),
            ),
        ),
        Register(
            "steps",
            0x48,
            "time steps of the next samples",
            (Field("value", "rw", 0, time_steps.bit_length(), "1 to TIME_STEPS", time_steps, limits=(1, time_steps)),),
        ),
        Register(
            "flags",
            0x4C,
            "what has happened; write 1 to clear",
            tuple(Field(name, "w1c", n, 1, text) for n, (name, text) in enumerate(FLAGS.items())),
        ),
        Register(
            "irq_enable",
            0x50,
            "which flags raise `irq`",
            tuple(Field(name, "rw", n, 1, f"`{name}` of FLAGS") for n, name in enumerate(FLAGS)),
        ),
        counter("cycles_low", 0x60, "bits 31:0 of the cycles since the first input word was taken"),
        counter("cycles_high", 0x64, "bits 63:32"),
        counter("samples_in", 0x68, "input packets that have come in"),
        counter("samples_out", 0x6C, "results that have left"),
    )


def margin_register(step: int, logit_bits: int, margin: int | None) -> Register:
    """The margin of early exit behind step `step`; its reset value is the artifact's."""
    most = (1 << logit_bits) - 1  # no two logits are further apart
    never = margin is None or margin > most
    return Register(
        f"margin{step}",
        MARGINS_AT + WORD_BYTES * step,
        f"early exit behind step {step}",
        (
            Field("lead", "rw", 0, logit_bits, "the sample stops if the first class is as far ahead",
                  0 if never else margin or 0, limits=(0, most)),
            Field("never", "rw", NEVER_BIT, 1, "1: it never stops here", int(never)),
        ),
    )  # fmt: skip


def layer_registers(number: int, name: str) -> tuple[Register, ...]:
    """The counters of one layer, modulo 2^32."""
    at = LAYERS_AT + LAYER_STRIDE * number
    return tuple(
        _counter(f"layer{number}_{counter}", at + WORD_BYTES * n, f"layer {name}: {text}")
        for n, (counter, text) in enumerate(COUNTERS.items())
    )


def _fixed(name: str, offset: int, value: int, text: str) -> Register:
    return Register(name, offset, text, (Field("value", "fixed", 0, DATA_BITS, text, value),))


def _counter(name: str, offset: int, text: str) -> Register:
    return Register(name, offset, text, (Field("value", "live", 0, COUNTER_WIDTH, text),))
