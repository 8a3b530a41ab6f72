"""Data sets: found or fetched, checked, split, and encoded for a network's input."""

from mintaka.data.dataset import Dataset, encode, network_inputs, stratified_split, thermometer
from mintaka.data.errors import DataError
from mintaka.data.load import DATASETS, Status, data_file, fetch, load_dataset, status
from mintaka.data.npz import read_npz
from mintaka.data.sources import data_root

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Status",
    "data_file",
    "data_root",
    "encode",
    "fetch",
    "load_dataset",
    "network_inputs",
    "read_npz",
    "status",
    "stratified_split",
    "thermometer",
]
