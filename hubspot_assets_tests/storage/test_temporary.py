"""What dead processes leave in the temporary folder is ours to remove; what others use is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from hubspot_assets.storage.temporary import sweep_temporary, temporary_folder

PROCESS = """
import sys
from hubspot_assets.storage.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "rows.parquet").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(temporary):
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    others = [temporary / "tmpx1", temporary / "hubspot-assets-0", temporary / "hubspot-assets-x"]
    for each in others:
        each.mkdir()
    with temporary_folder() as mine:
        sweep_temporary()
        assert len(list(temporary.glob("hubspot-assets-*-*-*"))) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
        sweep_temporary()
        assert sorted(temporary.iterdir()) == sorted([*others, mine])
    assert sorted(temporary.iterdir()) == sorted(others)


def test_what_another_host_left_is_swept_after_some_days(temporary):
    old, new = (temporary / f"hubspot-assets-ffffffffffff-1-1-{name}" for name in ("old", "new"))
    for path, days in ((old, 3), (new, 1)):
        path.mkdir()
        then = time.time() - days * 86_400
        os.utime(path, (then, then))
    sweep_temporary()
    assert list(temporary.iterdir()) == [new]
