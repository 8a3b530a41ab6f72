"""The artifact as a file: safetensors, with the JSON document in its metadata under the key `mintaka`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as save_tensors

from mintaka.artifact import strict_json
from mintaka.artifact.bounded import no_file
from mintaka.artifact.checks import check
from mintaka.artifact.document import Json, Tensors, from_document, to_document
from mintaka.artifact.errors import ArtifactError
from mintaka.artifact.schema import FORMAT_VERSION, Network
from mintaka.artifact.whole import write_whole

METADATA_KEY = "mintaka"
KNOWN = ".".join(map(str, FORMAT_VERSION))
DTYPES = ("I8", "I16", "I32", "I64", "U8", "U16")  # as safetensors calls them
NO_HASH = "sha256:" + "0" * 64
MAX_FILE_BYTES = 2**28
MAX_HEADER_BYTES = 2**23
MAX_TENSORS = 2**14
HASH = re.compile(r'\{"hash":"(sha256:[0-9a-f]{64})"')


def content_hash(network: Network) -> str:
    """`sha256:` and 64 hex digits over the document and the tensors (`docs/reference/artifact.md` says exactly how)."""
    text, tensors = _form(network)
    return _digest(text, tensors)


def save(network: Network, path: Path | str) -> str:
    """Check `network`, write it to `path` (through a temporary file) and return its content hash."""
    check(network)
    path = Path(path)
    text, tensors = _form(network)
    digest = _digest(text, tensors)
    _parse(text)  # nothing is written that could not be read
    data = save_tensors(tensors, metadata={METADATA_KEY: text.replace(NO_HASH, digest, 1)})
    write_whole(path, data)
    return digest


def load(path: Path | str) -> Network:
    """Read and check an artifact.

    Raises ArtifactError naming the file and what is wrong: missing, truncated, damaged, foreign, of a newer format,
    with another hash than it says, or breaking a rule of the contract.
    """
    path = Path(path)
    try:
        text, tensors = _read(path)
        document = _parse(text)
        _check_hash(text, tensors)
        try:
            network = from_document(document, tensors)
            check(network)
        except ArtifactError as error:
            if int(document["format"].partition(".")[2]) <= FORMAT_VERSION[1]:
                raise
            raise ArtifactError(f"{error} (the file has the newer format {document['format']})") from None
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from None
    return network


def _form(network: Network) -> tuple[str, Tensors]:
    """The document as text with a hash of zeros, and the tensors."""
    document, tensors = to_document(network)
    try:
        body = json.dumps({"hash": NO_HASH, **document}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"the network holds something that JSON cannot say: {error}") from None
    return body, tensors


def _digest(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        values = tensors[name]
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        head = f"\0{name}\0{values.dtype.name}\0{','.join(map(str, values.shape))}\0"
        digest.update(head.encode())
        digest.update(np.ascontiguousarray(little).data)
    return f"sha256:{digest.hexdigest()}"


def _read(path: Path) -> tuple[str, Tensors]:
    problem = no_file(path)
    if problem is not None:
        raise ArtifactError(problem)
    try:
        _check_container(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            tensors = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except ArtifactError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library's Rust code is no Exception
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ArtifactError(f"this is not an intact safetensors file ({reason:.120})") from None
    return metadata[METADATA_KEY], tensors


def _check_container(path: Path) -> None:
    """Refuse what is larger than an artifact can be, or holds other tensors, before the library reads it."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise ArtifactError(f"this file has {size} bytes; an artifact has at most {MAX_FILE_BYTES}")
        (length,) = struct.unpack("<Q", file.read(8))
        if length > size - 8:
            raise ValueError(f"its header is said to have {length} bytes, the file has {size}")
        if length > MAX_HEADER_BYTES:
            raise ArtifactError(f"its header has {length} bytes; an artifact's has at most {MAX_HEADER_BYTES}")
        text = file.read(length)
    strict_json.check_containers(text, strict_json.MAX_CONTAINERS + 3 * MAX_TENSORS)
    header = json.loads(text)
    if METADATA_KEY not in (header.get("__metadata__") or {}):
        raise ArtifactError("this is a safetensors file, but not a Mintaka artifact")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) > MAX_TENSORS:
        raise ArtifactError(f"it holds {len(tensors)} tensors; an artifact has at most {MAX_TENSORS}")
    for name, entry in tensors.items():
        if entry["dtype"] not in DTYPES:
            raise ArtifactError(
                f"tensor '{name}' has dtype {entry['dtype']!s:.20}; an artifact holds {', '.join(DTYPES)}"
            )


def _parse(text: str) -> Json:
    """The document of `text`, of a known format version."""
    document = strict_json.parse(text)
    version = document.get("format")
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", version) if isinstance(version, str) else None
    if match is None:
        raise ArtifactError(f"its format version is {version!r:.40}, which is none")
    major = int(match[1])
    if major > FORMAT_VERSION[0]:
        raise ArtifactError(f"it has format {version}, but this Mintaka reads up to {KNOWN}: update Mintaka")
    if major < FORMAT_VERSION[0]:
        raise ArtifactError(f"it has format {version}, which was never released; this Mintaka reads {KNOWN}")
    return document


def _check_hash(text: str, tensors: Tensors) -> None:
    stated = HASH.match(text)
    if stated is None:
        raise ArtifactError('its content hash is missing: a document begins with {"hash":"sha256:..."')
    found = _digest(text.replace(stated[1], NO_HASH, 1), tensors)
    if found != stated[1]:
        raise ArtifactError(f"its content hash does not match: it says {stated[1][:19]}, but holds {found[:19]}")
