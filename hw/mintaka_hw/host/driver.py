"""Talks to one Mintaka design behind AXI.

Needs numpy, and from its user three functions: to read and to write a 32-bit register at a byte offset, and to exchange
packets, which sends the bytes of one AXI4-Stream packet and returns those of the next one that comes back. On PYNQ:

    ip, dma = overlay.mintaka_0, overlay.axi_dma_0
    mmio = pynq.MMIO(ip.mmio.base_addr, 0x10000)

    def exchange(packet: bytes, size: int) -> bytes:
        out, back = pynq.allocate(len(packet), "u1"), pynq.allocate(size, "u1")
        out[:] = np.frombuffer(packet, "u1")
        dma.recvchannel.transfer(back)
        dma.sendchannel.transfer(out)
        dma.sendchannel.wait()
        dma.recvchannel.wait()
        return bytes(back)

    driver = Driver(mmio.read, mmio.write, exchange)
    print(driver.run(image).label)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mintaka.artifact.numbers import NumbersError, input_of_numbers

DESIGN: dict[str, Any] = {}

POLLS = 100_000


class DriverError(RuntimeError):
    """The design cannot be used as asked; the message is one sentence."""


@dataclass(frozen=True, eq=False)
class Result:
    """logits : int64 (classes,). label : the class. steps : time steps that the sample took.

    cycles : since the design's first input word, when the last logit was ready, modulo 2^32.
    errors : what was wrong with the input packet.
    """

    logits: np.ndarray
    label: int
    steps: int
    cycles: int
    errors: tuple[str, ...]


class Driver:
    """One design. Raises DriverError, at once, where another design or none answers.

    read32(offset) -> int, write32(offset, value), exchange(packet, result_bytes) -> bytes
    """

    def __init__(
        self,
        read32: Callable[[int], int],
        write32: Callable[[int, int], object],
        exchange: Callable[[bytes, int], bytes],
        design: dict[str, Any] = DESIGN,
    ):
        self._read32, self._write32, self._exchange, self.design = read32, write32, exchange, design
        self._registers: dict[str, dict[str, Any]] = design["registers"]
        self.identify()
        self._steps = self.get("steps")

    # ---- registers

    def get(self, register: str, field: str = "value") -> int:
        """A field of a register."""
        form = self._registers[register]
        low, bits = form["fields"][field]
        return (self._read32(form["offset"]) >> low) & ((1 << bits) - 1)

    def put(self, register: str, **fields: int) -> None:
        """Write a register; fields that are not given become 0."""
        form, word = self._registers[register], 0
        for name, value in fields.items():
            low, bits = form["fields"][name]
            if not 0 <= value < 1 << bits:
                raise DriverError(f"{register}.{name} cannot be {value}: it has {bits} bits")
            word |= value << low
        self._write32(form["offset"], word)

    def identify(self) -> None:
        """Check that this design answers, and not another one."""
        if self.get("id") != self.design["id"]:
            raise DriverError(f"no Mintaka design answers at this address (it reads 0x{self.get('id'):08x})")
        version = self.get("version", "map")
        if version != self.design["map_version"]:
            raise DriverError(
                f"the design has a register map of version {version}, the driver one of {self.design['map_version']}"
            )
        found = self.get("hash_high") << 32 | self.get("hash_low")
        if found != self.design["hash"]:
            raise DriverError(
                f"the design holds the artifact {found:016x}..., the driver was made for {self.design['hash']:016x}..."
            )

    def reset(self) -> None:
        """Forget what is in flight; counters begin anew. Steps, margins and enabled interrupts stay."""
        self.put("control", enable=self.get("control", "enable"), soft_reset=1)

    @property
    def steps(self) -> int:
        """Time steps of the next samples."""
        return self._steps

    @steps.setter
    def steps(self, steps: int) -> None:
        most = self.design["time_steps"]
        if not 1 <= steps <= most:
            raise DriverError(f"steps cannot be {steps}: 1 to {most} are possible")
        self.put("steps", value=steps)
        self._steps = steps

    def set_margin(self, step: int, margin: int | None) -> None:
        """How far the first class must be ahead behind `step` for a sample to stop there; None is never."""
        if not 0 <= step < self.design["margins"]:
            raise DriverError(f"there is no margin behind step {step}: the design has {self.design['margins']}")
        self.put(f"margin{step}", **({"never": 1} if margin is None else {"lead": margin}))

    def flags(self) -> list[str]:
        """Names of the flags that are set."""
        form = self._registers["flags"]
        word = self._read32(form["offset"])
        return [name for name, (low, _) in form["fields"].items() if word >> low & 1]

    def clear_flags(self) -> None:
        self.put("flags", **dict.fromkeys(self._registers["flags"]["fields"], 1))

    def enable_interrupts(self, *flags: str) -> None:
        """Which flags raise the interrupt; without any, none does."""
        self.put("irq_enable", **dict.fromkeys(flags, 1))

    def counters(self) -> dict[str, Any]:
        """Totals since reset, of one cycle in which no sample is in flight: cycles, samples_in, samples_out, and
        layers: name -> {sops, events, busy}, each modulo 2^32 but cycles."""
        for _ in range(POLLS):
            if not self.get("status", "busy"):
                break
        else:
            raise DriverError("the design is still busy: a packet was begun and not ended, or a result not taken")
        self.put("control", enable=self.get("control", "enable"), snapshot=1)
        layers = {
            name: {counter: self.get(f"layer{number}_{counter}") for counter in self.design["counters"]}
            for number, name in enumerate(self.design["layers"])
        }
        cycles = self.get("cycles_high") << 32 | self.get("cycles_low")
        samples = {name: self.get(name) for name in ("samples_in", "samples_out")}
        return {"cycles": cycles, **samples, "layers": layers}

    # ---- samples

    def run(self, x: Any) -> Result:
        """One sample: numbers as the network was trained with, which `encode` takes."""
        return self.unpack(self._exchange(self.pack(self.encode(x)), self.design["result_bytes"]))

    def encode(self, x: Any) -> np.ndarray:
        """A sample as the design's input: of numbers of the input's shape, or where every time step has its own input,
        (steps, *shape). How, the artifact says: by its scales and offsets, by a thermometer, or as they are."""
        form = self.design["input"]["numbers"]
        steps = None if form["steps"] is None else self._steps
        try:
            found: np.ndarray = input_of_numbers({**form, "steps": steps}, [x])[0]
        except NumbersError as error:
            raise DriverError(str(error)) from None
        return found.astype(np.int64)

    def pack(self, x: np.ndarray) -> bytes:
        """The packet of a sample that is encoded: integers, negative ones as two's complement."""
        source = self.design["input"]
        shape: tuple[int, ...] = tuple(source["shape"])
        if source["per_step"]:
            shape = (self._steps, *shape)
        x = np.asarray(x)
        if x.shape != shape or x.dtype.kind not in "biu":
            raise DriverError(f"a sample must be integers of shape {shape}, got {x.dtype} of shape {x.shape}")
        low, high = source["numbers"]["low"], source["numbers"]["high"]
        if x.min() < low or x.max() > high:
            raise DriverError(f"a sample holds values from {x.min()} to {x.max()}; {low} to {high} are possible")
        if source["order"] == "hwc":
            x = np.moveaxis(x, -3, -1)
        frames, words = (self._steps if source["per_step"] else 1), source["words"]
        elements = np.zeros((frames, words * source["elements"]), np.uint16)
        flat = x.reshape(frames, -1)
        elements[:, : flat.shape[1]] = flat.astype(np.uint16)
        planes = (elements[..., None] >> np.arange(source["bits"], dtype=np.uint16)) & 1
        bits = np.zeros((frames, words, 8 * source["word_bytes"]), np.uint8)
        used = planes.reshape(frames, words, -1)
        bits[:, :, : used.shape[2]] = used
        packet = np.zeros((frames, source["frame_bytes"]), np.uint8)
        content = np.packbits(bits, axis=2, bitorder="little").reshape(frames, -1)
        packet[:, : content.shape[1]] = content
        return packet.tobytes()

    def unpack(self, packet: bytes) -> Result:
        """What a result packet says."""
        size = self.design["result_bytes"]
        if len(packet) != size:
            raise DriverError(f"a result has {len(packet)} bytes instead of {size}: it was given up by a reset")
        width = self.design["logit_bytes"]
        end = self.design["classes"] * width
        label, steps, cycles = (int(word) for word in np.frombuffer(packet[end:], "<u4"))
        if not steps & 0xFFFF:  # a DMA that gives the whole buffer, whatever came
            raise DriverError("the result is of no time step: it was given up by a reset")
        errors = tuple(name for n, name in enumerate(self.design["errors"]) if steps >> (16 + n) & 1)
        return Result(np.frombuffer(packet[:end], f"<i{width}").astype(np.int64), label, steps & 0xFFFF, cycles, errors)
