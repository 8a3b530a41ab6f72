"""What the flow needs to know about a family of devices. One `Family` holds all of it, as data and small functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from mintaka.errors import MintakaError
from mintaka.extras import install_command

UNITS = ("LUT", "FF", "BRAM", "DSP")  # that every family of devices counts
Rewrite = Callable[[dict[str, Any]], int]  # changes a netlist of Yosys (JSON) in place; how many changes it made


class TargetError(MintakaError, ValueError):
    """There is no such family or part, or a program for it is not installed; the message is one sentence."""


@dataclass(frozen=True)
class Tool:
    """A program that comes from pip.

    distribution : its name for pip. function : of the module; it takes a list of arguments and returns the exit status.
    Without one the module is run as a program. module : where it is not the distribution's name.
    """

    name: str
    distribution: str
    function: str = ""
    module: str = ""

    @property
    def version(self) -> str:
        """Raises TargetError where it is not installed."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            raise TargetError(f"{self.name} is not installed: {install_command(self.distribution)}") from None

    @property
    def command(self) -> tuple[str, ...]:
        """What Python is started with; the tool's own arguments follow."""
        module = self.module or self.distribution.replace("-", "_")
        if not self.function:
            return "-m", module
        return "-c", f"import sys; from {module} import {self.function} as run; sys.exit(run(sys.argv[1:]))"


@dataclass(frozen=True)
class Part:
    """A device.

    target : name of its family. capacity : LUT, FF, BRAM (and LRAM: large memories), counted as `Synthesis.cells` does.
    script : more options for the family's synthesis. device : nextpnr's options for it.
    package, speed : the default, for families where nextpnr takes them apart from the device.
    frequency_mhz : what nextpnr aims at unless told otherwise.
    sites : any three pins, the first of which can be a clock, for families where nextpnr wants every port at a pin.
    """

    name: str
    target: str
    capacity: Mapping[str, float]
    script: str = ""
    device: tuple[str, ...] = ()
    package: str = ""
    speed: str = ""
    frequency_mhz: float = 100.0
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Synthesis:
    """Synthesis with Yosys.

    script : the command for a whole design. Stored figures of the documentation belong to this text.
    without_pads : option that leaves out the buffers at ports, for families where they are not left to nextpnr.
    cells : what counts as a LUT, FF, BRAM, DSP: regular expressions of cells' names, and how many units one cell takes.
    must_count : regular expression of cells that are an error unless `cells` knows their size.
    fix_netlist : what nextpnr needs changed in a netlist.
    """

    script: str
    without_pads: str = ""
    cells: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    must_count: str = ""
    fix_netlist: Rewrite | None = None


@dataclass(frozen=True)
class Memory:
    """What memories are made of.

    block_bits : of a block RAM as `Part.capacity` counts them; 0 where memories are left to macros.
    half_blocks : it can be used as two halves. large_bits : of a large RAM (LRAM).
    lut_bits : that a LUT and its flip-flop hold at most where they are made a memory; 1 where only the flip-flop can.
    """

    block_bits: int
    lut_bits: int
    half_blocks: bool = False
    large_bits: int = 0


@dataclass(frozen=True)
class Nextpnr:
    """Place and route.

    pins : how it is given a pin file, with {} for its path. product : the option that names the file from which the
    bitstream is packed, and that file's ending. options : any others. unpinned : options where there is no pin file.
    """

    tool: Tool
    pins: tuple[str, str]
    product: tuple[str, str]
    options: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()


@dataclass(frozen=True)
class PinFile:
    """The file that says at which pin each port of a design is.

    location : regular expression with the groups `port` and `pin`, for reading one. line : with {port} and {site}, for
    writing one. statement : for tools that run the file as a program: the only lines there may be, but comments (#).
    """

    suffix: str = ""
    location: str = ""
    line: str = ""
    statement: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Packer:
    """Makes the bitstream. arguments : of the part, nextpnr's product and the bitstream, which are names of files."""

    tool: Tool
    suffix: str
    arguments: Callable[[Part, str, str], tuple[str, ...]]


@dataclass(frozen=True)
class Project:
    """What the scripts for a vendor's program are about. Paths are relative to the scripts' folder.

    order : the part's whole name. top, files, pins : of the board's design. ip_top, ip_files : of the design with AXI.
    """

    board: str
    order: str
    clock_hz: int
    top: str
    files: tuple[str, ...]
    pins: str
    ip_top: str
    ip_files: tuple[str, ...]


@dataclass(frozen=True)
class Vendor:
    """A program of the vendor's that places, routes and packs, and that Mintaka neither brings nor runs.

    order : example of a part's whole name. scripts : by file name, functions of the project and that name.
    suffix : of the bitstream.
    """

    tool: str
    order: str
    scripts: Mapping[str, Callable[[Project, str], str]]
    suffix: str = "bit"


@dataclass(frozen=True)
class Family:
    """A family of devices, or standard cells.

    name : what `--target` takes. title : for people. parts : its devices, the default first; none for standard cells.
    nextpnr : None where there is no open place and route. packer, vendor : one of them where boards can be built.
    output_registers : moves registers into the block RAMs they follow; the number of ports of RAMs.
    shared_cells : of a module of Yosys' netlist, the pairs of a LUT and a flip-flop in one cell, for families whose
    flip-flops take the place of a LUT otherwise.
    Raises ValueError where the fields do not go together.
    """

    name: str
    title: str
    synthesis: Synthesis
    memory: Memory
    parts: tuple[Part, ...] = ()
    nextpnr: Nextpnr | None = None
    pin_file: PinFile = PinFile()
    packer: Packer | None = None
    vendor: Vendor | None = None
    output_registers: Rewrite | None = None
    shared_cells: Callable[[dict[str, Any]], int] | None = None

    def __post_init__(self) -> None:
        for wrong, sentence in (
            (re.fullmatch(r"[a-z][a-z0-9]*", self.name) is None, "the name must be small letters and digits"),
            (bool(self.parts) and not set(UNITS) <= self.synthesis.cells.keys(), f"cells must count {UNITS}"),
            (bool(self.parts) and self.memory.block_bits < 1, "block_bits must be more than 0"),
            (self.packer is not None and self.nextpnr is None, "a packer needs nextpnr"),
            (self.packer is not None and self.vendor is not None, "there must be a packer or a vendor, not both"),
            (self.builds_boards and not self.pin_file.location, "boards need pin_file.location"),
        ):
            if wrong:
                raise ValueError(f"family {self.name}: {sentence}")
        for part in self.parts:
            units = {"LUT", "FF", "BRAM"}
            if part.target != self.name or not units <= part.capacity.keys() <= self.synthesis.cells.keys():
                raise ValueError(f"family {self.name}: part {part.name}: target or capacity does not match")
            if part.sites and not (self.pin_file.line and len(part.sites) == 3):
                raise ValueError(f"family {self.name}: part {part.name}: sites must be 3, and need pin_file.line")

    @property
    def builds_boards(self) -> bool:
        return self.packer is not None or self.vendor is not None
