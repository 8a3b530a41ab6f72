"""When a layer core with a sparse weight memory issues its slots: entries without a stored row are passed over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mintaka_hw.estimate.layer import EventLists, LayerModel, Walk, in_order
from mintaka_hw.estimate.lists import list_elements
from mintaka_hw.estimate.models import Wire
from mintaka_hw.plan import LayerPlan

PORTION = 1024  # lists at a time, so that little memory is needed for many samples

# A walk is one list for one group of lanes, as numbers. Of the list's entries those are left that have a slot, and the
# last one always is.
#   before  : entries that are passed over ahead of the first one left
#   first   : slots of that one, if others follow, else 0
#   gap     : from it to the next one left, in entries
#   between : cycles from the load of that next one to the load of the last
#   last    : slots of the last one, at least 1
#   events  : slots that carry an event
WALK = 6
NOTHING = (0, 0, 0, 0, 1, 0)


def walks(layer: LayerPlan, frames: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """int32 (lists, groups, WALK), in the order of the replay; and with early exit, which may cut a walk short,
    `entries_left` of each list and group. frames : what enters by each edge, (M, ...)."""
    at_once = max(1, PORTION // layer.folding.windows)
    parts, lefts = [], []
    for numbers in layer.schedule.edges_by_phase:
        found, left = [], []
        for first in range(0, len(frames[numbers[0]]), at_once):
            slots, entries = _portion(layer, numbers, [frames[n][first : first + at_once] for n in numbers])
            found.append(np.stack([walks_of(each, entries) for each in slots], axis=1))
            if layer.schedule.exits:
                left.append(entries_left(slots, entries))
        parts.append(np.concatenate(found))
        if layer.schedule.exits:
            lefts.append(np.concatenate(left))
    return in_order(layer, parts), in_order(layer, lefts) if layer.schedule.exits else None


def entries_left(slots: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """object (lists, groups): of every entry that is left (slots, entries to the next one left), of the last one
    (slots, 0). slots, entries : as `_portion` gives them."""
    groups, lists, _ = slots.shape
    found = np.empty((lists, groups), object)
    for number, group in np.ndindex(lists, groups):
        places = np.flatnonzero(entries[number])
        k = slots[group, number, places]
        left = np.flatnonzero((k > 0) | (np.arange(len(places)) == len(places) - 1))
        gaps = np.diff(left, append=left[-1:])
        found[number, group] = list(zip(k[left].tolist(), gaps.tolist(), strict=True))
    return found


def _portion(layer: LayerPlan, numbers: Sequence[int], frames: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of lists in which the events of those edges meet: the slots (groups, lists, places) that the entry at each place
    issues, and whether there is one, bool (lists, places)."""
    assert layer.weights.sparse is not None
    slots, entries = [], []
    for number, x in zip(numbers, frames, strict=True):
        edge, elements = layer.edges[number], list_elements(layer.edges[number], x)
        if edge.element_bits > 1:  # an entry is an element
            kept = layer.weights.sparse.kept[:, edge.offset : edge.offset + edge.fan_in]
            slots.append(np.bitwise_count(elements) * kept[:, None, :])
            entries.append(np.asarray(elements > 0))
        else:
            assert edge.blocks is not None
            chunks = np.pad(elements, ((0, 0), (0, 1)))[:, edge.places]
            masks = layer.weights.sparse.masks[:, edge.blocks.first :][:, : len(edge.places), : edge.places.shape[1]]
            slots.append(np.einsum("lbp,gbp->glb", chunks, masks.astype(chunks.dtype)))
            entries.append(np.asarray(chunks.any(axis=2)))
    return np.concatenate(slots, axis=2), np.concatenate(entries, axis=1)


def walks_of(slots: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """int32 (lists, WALK).

    slots : what the entry at each place of each list issues, (lists, places). entries : whether there is one, bool.
    """
    behind = np.cumsum(entries[:, ::-1], axis=1)[:, ::-1]  # entries from here to the list's end
    left = entries & ((slots > 0) | (behind == 1))
    lists, places = np.nonzero(left)
    number = np.cumsum(entries, axis=1)[lists, places]
    k = slots[lists, places].astype(np.int64)
    gap = np.append(np.diff(number), 0)
    before = np.append(0, np.cumsum(np.maximum(k, gap)))
    ends = np.searchsorted(lists, np.arange(len(slots) + 1))
    found = np.tile(np.array(NOTHING, np.int32), (len(slots), 1))
    one, several = (np.flatnonzero(np.diff(ends) >= least) for least in (1, 2))
    begin, end = ends[:-1], ends[1:] - 1
    found[one, 0] = number[begin[one]] - 1
    found[several, 1] = k[begin[several]]
    found[several, 2] = gap[begin[several]]
    found[several, 3] = before[end[several]] - before[begin[several] + 1]
    found[one, 4] = np.maximum(1, k[end[one]])
    found[:, 5] = (slots * entries).sum(axis=1)
    return found


class SparseLayerModel(LayerModel):
    """A layer core whose replay stands behind an index. found, left : `walks`.

    An entry is looked up while the one left before it issues its slots, and one that is passed over takes a cycle: from
    the load of an entry to the load of the next one left it takes max(slots, entries in between + 1) cycles.
    """

    def __init__(
        self,
        layer: LayerPlan,
        lists: list[EventLists],
        found: np.ndarray,
        left: np.ndarray | None,
        words: list[Wire],
        out: Wire,
    ):
        super().__init__(layer, lists, words, out)
        self.walks, self.left = found, left
        self.looked_up = -1  # cycle in which the index gave its entry away

    @property
    def issued(self) -> np.ndarray:
        return self.walks[:, :, -1].sum(axis=1, dtype=np.int64)

    def _groups(self, phase: int, number: int, which: int | None, readable: int) -> None:
        gives_words = phase >= self.gives_from
        walks = [NOTHING] * self.groups if which is None else self.walks[which].tolist()
        for group, (before, first_slots, gap, between, last_slots, events) in enumerate(walks):
            state = number * self.groups + group
            begun = max(readable, self.looked_up)  # from the next cycle on the index has the group's first entry
            ended = max(begun, self.last_slot)
            at, held = max(begun + 1 + before, self.last_slot), self.held[-1]
            first = self._first_slot(at + 1, state, phase > 0, gives_words)
            loaded, last = at, first + last_slots - 1
            if first_slots:
                loaded = max(first + first_slots - 1, at + gap) + between
                last = loaded + last_slots
            if self.log is not None:
                assert self.left is not None
                entries = [] if which is None else self.left[which, group]
                self.log.append(Walk(ended, self.held[-1] - held, _runs(entries, at, first)))
            self.looked_up = loaded
            self._group_ends(last, state, gives_words)
            self.busy[-1] += last - ended
            self.slots[-1] += max(1, events)


def _runs(entries: list[tuple[int, int]], loaded: int, first: int) -> list[tuple[int, int, bool]]:
    """The slots of each entry that is left, as `Walk.runs`. loaded, first : cycles of the first one's load and slot."""
    runs = []
    for slots, gap in entries or [(0, 0)]:
        last = first + max(1, slots) - 1
        runs.append((first, last, slots > 0))
        loaded = max(last, loaded + gap)
        first = loaded + 1
    return runs
