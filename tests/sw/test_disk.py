import errno
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mintaka.system.disk import FULL_BELOW, check_room


def test_full_disks_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    free = {work: FULL_BELOW, temporary: FULL_BELOW}
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder]))
    check_room(work)
    for folder in (temporary, work):  # at last both are full
        free[folder] -= 1
        with pytest.raises(OSError, match="No space left on device") as caught:
            check_room(work)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(folder)


def test_a_folder_that_is_gone_has_no_disk(tmp_path: Path) -> None:
    check_room(tmp_path / "gone")
