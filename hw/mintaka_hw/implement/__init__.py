"""From Verilog to a netlist, a placed design and its timing, with open tools from pip."""

from mintaka_hw.implement.board import Board, BoardError, board_names, load_board
from mintaka_hw.implement.board_design import BoardDesign, generate_board
from mintaka_hw.implement.build import Build, build_board
from mintaka_hw.implement.errors import ImplementError, PlaceError, SynthesisError
from mintaka_hw.implement.harness import harness_pins, in_harness
from mintaka_hw.implement.outreg import use_output_registers
from mintaka_hw.implement.place import Hop, Placed, place
from mintaka_hw.implement.targets import DEFAULT_PARTS, PARTS, SCRIPTS, TARGETS, Part, part_of
from mintaka_hw.implement.tools import Tool, run_tool
from mintaka_hw.implement.yosys import Netlist, synthesize

__all__ = [
    "DEFAULT_PARTS",
    "PARTS",
    "SCRIPTS",
    "TARGETS",
    "Board",
    "BoardDesign",
    "BoardError",
    "Build",
    "Hop",
    "ImplementError",
    "Netlist",
    "Part",
    "PlaceError",
    "Placed",
    "SynthesisError",
    "Tool",
    "board_names",
    "build_board",
    "generate_board",
    "harness_pins",
    "in_harness",
    "load_board",
    "part_of",
    "place",
    "run_tool",
    "synthesize",
    "use_output_registers",
]
