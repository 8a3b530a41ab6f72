"""Artifacts taken apart and put together again by hand: json, struct, hashlib and numpy, nothing of Mintaka."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {"int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16"}
DTYPES |= {"uint32": "U32", "uint64": "U64", "float32": "F32", "float64": "F64", "float16": "F16", "bool": "BOOL"}

Tensors = dict[str, np.ndarray]


def pull_apart(path: Path) -> tuple[dict[str, Any], Tensors]:
    """The document and the tensors of a file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    document = json.loads(header.pop("__metadata__")["mintaka"])
    names = {short: name for name, short in DTYPES.items()}
    tensors = {
        name: np.frombuffer(body[slice(*t["data_offsets"])], names[t["dtype"]]).reshape(t["shape"]).copy()
        for name, t in header.items()
    }
    return document, tensors


def sealed(document: Any, tensors: Tensors) -> str:
    """The document as text with the hash that it and the tensors have."""
    zeros = "sha256:" + "0" * 64
    fields = {k: v for k, v in document.items() if k != "hash"}
    text = json.dumps({"hash": zeros, **fields}, separators=(",", ":"))
    return text.replace(zeros, digest(text, tensors), 1)


def digest(text: str, tensors: Tensors) -> str:
    """The content hash of a text that holds a hash of zeros."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha.update(f"\0{name}\0{array.dtype.name}\0{','.join(map(str, array.shape))}\0".encode() + array.tobytes())
    return "sha256:" + sha.hexdigest()


def put_together(path: Path, text: str, tensors: Tensors, *, key: str = "mintaka") -> Path:
    """Write a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {key: text}}
    body = b""
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)
    return path
