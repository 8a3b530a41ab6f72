"""From Verilog to a bitstream."""

from mintaka_hw.implement.board import Board, BoardError, board_names, load_board
from mintaka_hw.implement.board_design import BoardDesign, generate_board

__all__ = ["Board", "BoardDesign", "BoardError", "board_names", "generate_board", "load_board"]
