"""Mintaka's hardware: the accelerator, its plan, its cycle model and its Verilog."""
