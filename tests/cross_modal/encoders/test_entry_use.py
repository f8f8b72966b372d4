import os
import subprocess
import sys
from pathlib import Path

from cross_modal.encoders.entry_use import DESCRIPTION, folder_size, in_use, sign_in, sign_out

HOLD = """
import sys, time
from pathlib import Path
from cross_modal.encoders.entry_use import sign_in
lock = sign_in(Path(sys.argv[1]))
print("signed in", flush=True)
time.sleep(60)
"""


def test_an_entry_is_in_use_from_signing_in_to_signing_out(tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text("{}")
    os.utime(tmp_path / DESCRIPTION, (1, 1))
    assert not in_use(tmp_path)
    one, other = sign_in(tmp_path), sign_in(tmp_path)
    assert in_use(tmp_path)
    sign_out(tmp_path, one, os.getpid())
    assert in_use(tmp_path)
    sign_out(tmp_path, other, os.getpid())
    assert not in_use(tmp_path)
    assert (tmp_path / DESCRIPTION).stat().st_mtime > 1, "the end of a use is when it was last used"


def test_a_killed_process_uses_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "signed in\n"
    assert in_use(tmp_path)
    process.kill()
    process.communicate()
    assert list((tmp_path / "users").iterdir())
    assert not in_use(tmp_path)
    assert not list((tmp_path / "users").iterdir()), "what it left behind is swept away"


def test_a_fork_does_not_sign_its_parent_out(tmp_path: Path) -> None:
    lock = sign_in(tmp_path)
    sign_out(tmp_path, lock, os.getpid() + 1)
    assert in_use(tmp_path)
    sign_out(tmp_path, lock, os.getpid())


def test_the_size_of_a_folder_counts_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "b").write_bytes(bytes(5))
    (tmp_path / "folder").mkdir()
    assert folder_size(tmp_path) == 15
