"""How well sizes are known before training.

Some methods find out in training how many channels each layer keeps. The structure that is predicted after them has the
largest sizes that are possible and is marked: what does not fit into the largest may still fit into what training
leaves, so such a check waits.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from mintaka.snn.network import SNN

MARK = "sizes_open"  # a buffer, so that copies have it, too; no network in training has it


def open_sizes(snn: SNN) -> SNN:
    """A copy that says: layers may be smaller than here."""
    new = deepcopy(snn)
    new.register_buffer(MARK, torch.tensor(True))
    return new


def sizes_known(snn: SNN) -> bool:
    """Whether the sizes are exact, as they are in every network that is not a prediction."""
    return not hasattr(snn, MARK)


def as_exact_as(snn: SNN, new: SNN) -> SNN:
    """`new`, which was made from `snn`: its sizes are known as well as those."""
    return new if sizes_known(snn) else open_sizes(new)
