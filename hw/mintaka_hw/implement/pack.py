"""From a placed design to the file that an FPGA is loaded with."""

from __future__ import annotations

from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka.system.disk import check_room
from mintaka_hw.implement.errors import PlaceError
from mintaka_hw.implement.place import Placed
from mintaka_hw.implement.tools import Say, complaint, on_stderr, run_tool
from mintaka_hw.targets import family_of

LOG = "pack.log"


def pack(placed: Placed, name: str, folder: Path, *, say: Say = on_stderr) -> Path:
    """The bitstream, `folder`/`name` with the ending that the family's loaders expect.

    `folder` is the one in which the design was placed. Raises PlaceError where the packer fails, or there is none for
    the family.
    """
    packer = family_of(placed.part).packer
    if packer is None:
        raise PlaceError(f"there is no open packer of bitstreams for {placed.part.target}")
    bitstream = folder / f"{name}.{packer.suffix}"
    bitstream.unlink(missing_ok=True)
    arguments = packer.arguments(placed.part, placed.product.name, bitstream.name)
    status, text = run_tool(packer.tool, arguments, folder, say=say)
    write_whole(folder / LOG, text.encode())
    if status or not bitstream.is_file() or not bitstream.stat().st_size:
        check_room(folder)
        raise PlaceError(f"no bitstream could be packed from {placed.product.name}: {complaint(text)}")
    return bitstream
