"""Compression: fewer neurons, fewer synapses, fewer spikes, fewer steps. One file per family of methods.

`AnyMethod` lists them all; a recipe's `[[compress]]` tables are these models.
"""

from typing import Annotated, get_args

from pydantic import Field

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

AnyMethod = Annotated[
    Slim
    | SpikeActivity
    | SDSNN
    | PCA
    | Random
    | Small
    | STDS
    | SLATS
    | SOPs
    | Activity
    | Steps
    | Share
    | Binary
    | Mixed
    | Exit,
    Field(discriminator="method"),
]
METHODS: dict[str, type[Method]] = {
    get_args(model.model_fields["method"].annotation)[0]: model for model in get_args(get_args(AnyMethod)[0])
}

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
    "search_widths",
    "share_weights",
    "slim",
    "small",
    "with_margins",
    "with_steps",
    "with_widths",
    "zero_share",
]
