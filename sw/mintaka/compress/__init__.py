"""Compression: fewer neurons, fewer synapses, fewer spikes, fewer steps. One file per family of methods.

`METHODS` has them all, by the names that a recipe's `[[compress]]` tables say; `register_method` adds one of your own.
Early exit (`exits.py`) is no method: it trains nothing, and is calibrated on the finished network.
"""

from mintaka.compress.activity import Activity
from mintaka.compress.apply import apply
from mintaka.compress.binary import Binary, binarize
from mintaka.compress.choose import Target, choose
from mintaka.compress.cut import cut_channels, mask_channels
from mintaka.compress.development import SDSNN
from mintaka.compress.errors import CompressError
from mintaka.compress.exits import Exit, ExitPoint, calibrate, exit_curve, with_margins
from mintaka.compress.method import Method
from mintaka.compress.mixed import Budget, Mixed, Space, Widths, search_widths
from mintaka.compress.registry import METHODS, AnyMethod, register_method
from mintaka.compress.sharing import Share, share_weights
from mintaka.compress.soft import SLATS, STDS, zero_share
from mintaka.compress.sops import SOPs
from mintaka.compress.steps import Steps, with_steps
from mintaka.compress.structured import (
    PCA,
    Random,
    Slim,
    Small,
    SpikeActivity,
    prune_inactive,
    prune_random,
    slim,
    small,
)
from mintaka.compress.ties import Family, families
from mintaka.compress.widths import with_widths
from mintaka.snn.hooks import Phase, PhaseHooks, Task

for _model in (
    *(Slim, SpikeActivity, SDSNN, PCA, Random, Small),
    *(STDS, SLATS, SOPs, Activity, Steps),
    *(Share, Binary, Mixed),
):
    register_method(_model)

__all__ = [
    "METHODS",
    "PCA",
    "SDSNN",
    "SLATS",
    "STDS",
    "Activity",
    "AnyMethod",
    "Binary",
    "Budget",
    "CompressError",
    "Exit",
    "ExitPoint",
    "Family",
    "Method",
    "Mixed",
    "Phase",
    "PhaseHooks",
    "Random",
    "SOPs",
    "Share",
    "Slim",
    "Small",
    "Space",
    "SpikeActivity",
    "Steps",
    "Target",
    "Task",
    "Widths",
    "apply",
    "binarize",
    "calibrate",
    "choose",
    "cut_channels",
    "exit_curve",
    "families",
    "mask_channels",
    "prune_inactive",
    "prune_random",
    "register_method",
    "search_widths",
    "share_weights",
    "slim",
    "small",
    "with_margins",
    "with_steps",
    "with_widths",
    "zero_share",
]
