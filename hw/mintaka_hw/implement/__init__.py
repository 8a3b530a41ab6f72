"""From Verilog to a netlist, a placed design and its timing, with open tools from pip."""

from mintaka_hw.implement.board import Board, BoardError, board_names, load_board
from mintaka_hw.implement.board_design import BoardDesign, generate_board
from mintaka_hw.implement.build import Build, build_board
from mintaka_hw.implement.components import CriticalPath, by_component, critical_path, scopes_of, spoken
from mintaka_hw.implement.errors import ImplementError, PlaceError, SynthesisError
from mintaka_hw.implement.floor import fit_problem, least
from mintaka_hw.implement.flow import Synthesized, Timed, check_fits, count_cells, gates, synthesized, timed
from mintaka_hw.implement.harness import harness_pins, in_harness
from mintaka_hw.implement.place import Hop, Placed, place
from mintaka_hw.implement.standard_cells import Gates, Macro, alike, check_liberty
from mintaka_hw.implement.tools import YOSYS, check_tools, run_tool
from mintaka_hw.implement.yosys import Netlist, synthesize, use_output_registers
from mintaka_hw.targets import Part, part_of

__all__ = [
    "YOSYS",
    "Board",
    "BoardDesign",
    "BoardError",
    "Build",
    "CriticalPath",
    "Gates",
    "Hop",
    "ImplementError",
    "Macro",
    "Netlist",
    "Part",
    "PlaceError",
    "Placed",
    "SynthesisError",
    "Synthesized",
    "Timed",
    "alike",
    "board_names",
    "build_board",
    "by_component",
    "check_fits",
    "check_liberty",
    "check_tools",
    "count_cells",
    "critical_path",
    "fit_problem",
    "gates",
    "generate_board",
    "harness_pins",
    "in_harness",
    "least",
    "load_board",
    "part_of",
    "place",
    "run_tool",
    "scopes_of",
    "spoken",
    "synthesize",
    "synthesized",
    "timed",
    "use_output_registers",
]
