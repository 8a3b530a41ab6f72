"""Data sets: found or fetched, checked and split."""

from mintaka.data.dataset import Dataset
from mintaka.data.errors import DataError
from mintaka.data.labels import read_labels
from mintaka.data.load import DATASETS, Status, data_file, fetch, load_dataset, status
from mintaka.data.look import Look, look
from mintaka.data.npz import read_npz
from mintaka.data.sources import data_root
from mintaka.data.split import split, stratified_split

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Look",
    "Status",
    "data_file",
    "data_root",
    "fetch",
    "load_dataset",
    "look",
    "read_labels",
    "read_npz",
    "split",
    "status",
    "stratified_split",
]
