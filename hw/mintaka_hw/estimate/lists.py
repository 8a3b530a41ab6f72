"""What enters a layer core, list by list: the events, and the words and entries that they come in."""

from __future__ import annotations

import numpy as np

from mintaka_hw.estimate.layer import EventLists
from mintaka_hw.plan import EdgePlan, WindowPlan


def event_lists(edge: EdgePlan, x: np.ndarray) -> EventLists:
    """x: frames of unsigned integers, (M, C, H, W) or (M, N)."""
    lists, chunk = edge.lists, edge.chunk_elements
    if edge.window_buffer is None:
        words = lists.split(lists.flat(x))
        events, chunks = np.bitwise_count(words).sum((1, 2)), _chunks(words, chunk)
        return EventLists(events.tolist(), chunks.sum(1).tolist(), np.maximum(chunks, 1).tolist())
    parts = [_by_slot(part, edge.mask_bits) for part in parts_of(edge.window_buffer, x)]
    events = windows_of(edge.window_buffer, [np.bitwise_count(part).sum(1) for part in parts]).sum(1)
    chunks = windows_of(edge.window_buffer, [_chunks(np.moveaxis(part, 1, -1), chunk) for part in parts])
    word_cycles = [[m for m in row if m] or [1] for row in chunks.tolist()]
    return EventLists(events.tolist(), chunks.sum(1).tolist(), word_cycles)


def parts_of(window: WindowPlan, x: np.ndarray) -> list[np.ndarray]:
    """The channels (M, C', H, W) of each section's part of the frames x (M, C, H, W), or (M, C) of 1x1 pixels."""
    pixels = x.reshape(len(x), -1, window.incoming.rows, window.incoming.cols)
    none = np.zeros_like(pixels[:, :1])
    with_none = np.concatenate([pixels, none], axis=1)
    parts = [with_none[:, [-1 if c is None else c for c in part]] for part in window.channels]
    return parts * (window.sections // len(parts))


def _by_slot(part: np.ndarray, masks: int) -> np.ndarray:
    """What the lanes see of all their conv groups takes one slot: (M, C' * masks, H, W) -> (M, C', H, W)."""
    M, channels, H, W = part.shape
    return np.bitwise_or.reduce(part.reshape(M, channels // masks, masks, H, W), axis=2)


def _chunks(words: np.ndarray, chunk: int) -> np.ndarray:
    """Non-zero chunks of each word: (..., elements) -> (...)."""
    padded = np.pad(words, [(0, 0)] * (words.ndim - 1) + [(0, -words.shape[-1] % chunk)])
    return padded.reshape(*words.shape[:-1], -1, chunk).any(-1).sum(-1)


def windows_of(window: WindowPlan, parts: list[np.ndarray]) -> np.ndarray:
    """Per section (M, H, W) -> (M * windows * sections, kh * kw): what every window sees, each time it is given."""
    (pv, ph), (sv, sh) = window.padding, window.stride
    padded = np.pad(np.stack(parts), ((0, 0), (0, 0), (pv, pv), (ph, ph)))
    view = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(2, 3))[:, :, ::sv, ::sh]
    rows, cols = window.shape_out
    return np.moveaxis(view[:, :, :rows, :cols], 0, 3).reshape(-1, window.kernel[0] * window.kernel[1])


def list_elements(edge: EdgePlan, x: np.ndarray) -> np.ndarray:
    """Every list's elements in their order, (lists, elements), of frames as above; not of grouped convolutions."""
    if edge.window_buffer is None:
        return edge.lists.flat(x)
    (part,) = parts_of(edge.window_buffer, x)
    by_channel = [windows_of(edge.window_buffer, [part[:, channel]]) for channel in range(part.shape[1])]
    return np.stack(by_channel, axis=-1).reshape(-1, edge.lists.elements)
