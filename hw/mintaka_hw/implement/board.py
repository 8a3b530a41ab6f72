"""Boards as files: a TOML that says what is on the board, and a pin file for the tools of its FPGA's family."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mintaka.artifact.bounded import MISSING, no_file, read_bounded
from mintaka.artifact.toml import read_toml
from mintaka.errors import MintakaError, problem_of
from mintaka_hw.targets import families, find_family

CHECKOUT = Path(__file__).parents[3] / "constraints"
INSTALLED = Path(__file__).parents[1] / "constraints"
BITSTREAM = "{bitstream}"
MAX_LINE, MAX_HZ, MAX_PIN_FILE = 200, 10**10, 2**20
MAX_PIN_LINE = 1000


class BoardError(MintakaError, ValueError):
    """There is no such board, or its files are wrong; the message is one sentence."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _matching(pattern: str, wanted: str) -> AfterValidator:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(f"must be {wanted}, got '{text:.60}'")
        return text

    return AfterValidator(check)


def _line(text: str) -> str:
    if not text.isprintable() or not 1 <= len(text.strip()) <= MAX_LINE:
        raise ValueError(f"must be a line of 1 to {MAX_LINE} printable characters, got '{text:.60}'")
    return text


def _family(text: str) -> str:
    known = [family.name for family in families() if family.builds_boards]
    if text not in known:
        raise ValueError(f"must be {', '.join(known[:-1])} or {known[-1]}, got '{text:.60}'")
    return text


def _program(text: str) -> str:
    """A command that a person runs; nothing in it is replaced but the bitstream's name."""
    if BITSTREAM not in text:
        raise ValueError(f"'{text}' has no {BITSTREAM} in it")
    if rest := re.search(r"[{}]\w*\}?", text.replace(BITSTREAM, "")):
        raise ValueError(f"'{text}' has '{rest[0]}' in it; only {BITSTREAM} is replaced")
    return text


Line = Annotated[str, AfterValidator(_line)]
FamilyName = Annotated[str, AfterValidator(_family)]
Program = Annotated[str, AfterValidator(_line), AfterValidator(_program)]
PinName = Annotated[str, _matching(r"\w{1,16}", "a pin of letters and digits")]
Word = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9./_-]{0,39}|", "letters, digits and . / _ -")]
FileName = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", "the name of a file beside this one")]


class Clock(_Part):
    """The clock that all of the design runs with."""

    pin: PinName
    hz: Annotated[int, Field(gt=0, le=MAX_HZ)]


class Uart(_Part):
    """The serial line, as the FPGA sees it: `rx` is an input."""

    rx: PinName
    tx: PinName


class Pin(_Part):
    """A LED or a button; `active_low` where 0 is lit or pressed."""

    pin: PinName
    active_low: bool = False


class BoardFile(_Part):
    """What a board's TOML holds.

    family, part : as `mintaka_hw.targets` calls them. package, speed : as the family's tools call them.
    order : the part's whole name, for the vendor's tools.
    program : the command that loads `{bitstream}`. serial : which plug the serial line ends in.
    """

    name: Line
    family: FamilyName
    part: Word
    order: Word = ""
    package: Word
    speed: Word = ""
    pin_file: FileName
    program: Program
    serial: Line
    clock: Clock
    uart: Uart
    led: Pin
    reset: Pin | None = None


class Board(BoardFile):
    """A board with its files: `key` is its file's name without the ending, `pins` the path of its pin file."""

    key: str
    pins: Path

    @property
    def ports(self) -> dict[str, str]:
        """Port of the board's top module -> pin."""
        found = {"clk": self.clock.pin, "rx": self.uart.rx, "tx": self.uart.tx, "led": self.led.pin}
        return found | ({"button": self.reset.pin} if self.reset else {})


def boards_folder() -> Path:
    """Where the boards' files are: in the checkout, or in the installed package."""
    return CHECKOUT if CHECKOUT.is_dir() else INSTALLED


def board_names() -> list[str]:
    return sorted(path.stem for path in boards_folder().glob("*.toml"))


def load_board(name: str) -> Board:
    """A board that comes with Mintaka, by name, or one of your own, by the path of its TOML.

    Raises BoardError where there is none of that name, a key is missing or unknown, or the pin file does not put every
    port where the TOML says.
    """
    path = Path(name) if name.endswith(".toml") else boards_folder() / f"{name}.toml"
    problem = no_file(path)
    if problem == MISSING:
        known = ", ".join(board_names())
        raise BoardError(f"there is no board '{name}': known are {known}, or the path of a .toml file")
    if problem is not None:
        raise BoardError(f"{path}: {problem}")
    try:
        form = read_toml(path)
    except ValueError as error:
        raise BoardError(str(error)) from None
    try:
        board = BoardFile.model_validate(form)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(f"{part!s:.60}" for part in first["loc"])
        raise BoardError(f"{path}: {where}: {problem_of(first)}") from None
    pins = path.parent / board.pin_file
    found = Board(**board.model_dump(), key=path.stem, pins=pins)
    _check(found, path)
    return found


def _check(board: Board, path: Path) -> None:
    family = find_family(board.family)
    if board.part.lower() not in [part.name.lower() for part in family.parts]:
        known = ", ".join(part.name for part in family.parts)
        raise BoardError(f"{path}: part: '{board.part}' is not known in the family {board.family}; known are {known}")
    if family.vendor is not None and not board.order:
        raise BoardError(
            f"{path}: order: must be the part's whole name for {family.vendor.tool}, such as {family.vendor.order}"
        )
    text = _pin_text(board, path, family.pin_file.statement)
    located = {match["port"]: match["pin"] for match in re.finditer(family.pin_file.location, text)}
    for port, pin in board.ports.items():
        if located.get(port) != pin:
            said = f"puts it at {located[port]}" if port in located else "does not mention it"
            raise BoardError(f"{path} has '{port}' at pin {pin}, but {board.pins.name} {said}")
    for port in sorted(set(located) - set(board.ports)):
        raise BoardError(f"{board.pins} has a pin for '{port}', which no board design has a port for")


def _pin_text(board: Board, path: Path, statement: re.Pattern[str] | None) -> str:
    """The pin file's content. statement : the only lines there may be, so that nothing in it acts."""
    try:
        data = read_bounded(board.pins, MAX_PIN_FILE)
    except OSError as error:
        raise BoardError(
            f"{path}: pin_file: {board.pins} cannot be read ({(error.strerror or type(error).__name__).lower()})"
        ) from None
    if data is None:
        raise BoardError(f"{board.pins} has more than {MAX_PIN_FILE:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BoardError(f"{board.pins} is no text in UTF-8") from None
    long = next((number for number, line in enumerate(text.split("\n"), 1) if len(line) > MAX_PIN_LINE), None)
    if long is not None:  # patterns may take the square of its length
        raise BoardError(f"{board.pins}, line {long} has more than {MAX_PIN_LINE:,} characters")
    if statement is not None:
        for number, line in enumerate(text.split("\n"), 1):  # where Tcl ends a line, and nowhere else
            bare = line.strip(" \t\r")
            if bare and not (bare.startswith("#") and not bare.endswith("\\")) and statement.fullmatch(bare) is None:
                raise BoardError(f"{board.pins}, line {number}: '{bare:.60}' is no constraint that only sets something")
    return text
