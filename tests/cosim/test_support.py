"""What every command shares: what is said where memory runs out."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from cosim.small import call

from mintaka.errors import user_sentence


def test_memory_that_runs_out_is_one_sentence() -> None:
    for allocate in (lambda: torch.empty(2**50), lambda: np.empty(2**50)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        sentence = user_sentence(caught.value)
        assert sentence is not None
        assert re.match(r"there is not enough memory \([\d.,]+ [GP]iB more were needed\): .* 'train\.batch'", sentence)


OOM = """name = "oom"
dataset = "oom.npz"

[network]
time_steps = 64

[train]
float_epochs = 1
epochs = 1
batch = 2048

[[layers]]
name = "conv"
op = "conv2d"
channels = 64
kernel = 3

[[layers]]
name = "out"
op = "dense"
units = 3
"""


def test_a_training_that_needs_more_memory_than_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(0, 16, (3000, 1, 32, 32)).astype(np.uint8)
    np.savez("oom.npz", x=x, y=np.arange(3000) % 3)
    (tmp_path / "oom.toml").write_text(OOM)
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 4 * 2**30, before[1]))
    try:
        done = call(capsys, "train", "oom.toml")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert done.status == 1
    assert re.search(
        r"mintaka: there is not enough memory \(33\.0 GiB more were needed\): lower .*'train\.batch'", done.err
    )
    assert sorted(path.name for path in (tmp_path / "runs" / "oom").iterdir()) == ["data.json", "recipe.toml"]
