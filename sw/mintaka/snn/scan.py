"""All steps of LIF neurons by a compiled loop: the spikes of `mintaka.snn.lif.scan`, no log of K and U."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from mintaka.snn.cell import Cell
from mintaka.snn.native import in_parts, library

LEAST_WORK = 2**21  # neurons times steps: below that torch is quick enough not to compile anything


def compiled_scan(
    current: Tensor, steps: int | None, cell: Cell, *, spikes: bool
) -> tuple[Tensor | None, Tensor] | None:
    """Spikes (T, N, C, ...), where they are wanted, and their sum over the steps (N, C, ...), float32.

    current : (T, N, C, ...), or (N, C, ...) with `steps` = T where it is the same at every step; float32 that holds
        every value of the cell exactly.
    cell : `plain`.

    None where there is no compiler, or a sample's neurons do not lie one behind the other in memory.
    """
    native, rows = library(), current if steps is not None else current[0]
    if native is None or not rows[:1].is_contiguous() or current.dtype != torch.float32:
        return None
    T = len(current) if steps is None else steps
    N, size = len(rows), rows[0].numel()
    inner = size // rows.shape[1]

    def per_neuron(values: Tensor | None) -> np.ndarray:
        integers = np.zeros(rows.shape[1], np.int32) if values is None else values.to(torch.int32).numpy()
        return np.repeat(integers, inner)

    assert cell.threshold is not None
    threshold, bias, reset_by = (per_neuron(values) for values in (cell.threshold, cell.bias, cell.reset_by))
    sign = np.array([term.sign for term in cell.lif.leak], np.int32)
    shift = np.array([term.shift for term in cell.lif.leak], np.int32)
    fired = torch.empty(T, *rows.shape) if spikes else None
    total = torch.empty(rows.shape)
    address = ctypes.c_void_p

    def part(begin: int, end: int) -> None:
        native.mintaka_scan(
            address(current.data_ptr()),
            *map(
                ctypes.c_int64, (0 if steps is not None else current.stride(0), rows.stride(0), T, N, begin, end, size)
            ),
            *(address(values.ctypes.data) for values in (threshold, bias)),
            None if cell.reset_by is None else address(reset_by.ctypes.data),
            *(address(values.ctypes.data) for values in (sign, shift)),
            *(ctypes.c_int64(len(sign)), ctypes.c_int32(cell.lif.membrane_max)),
            None if fired is None else address(fired.data_ptr()),
            address(total.data_ptr()),
        )

    in_parts(N, part)
    return fired, total
