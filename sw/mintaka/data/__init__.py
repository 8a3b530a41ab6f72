"""Data sets: found or fetched, checked and split."""

from mintaka.data.dataset import Dataset, stratified_split
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
    "fetch",
    "load_dataset",
    "read_npz",
    "status",
    "stratified_split",
]
