"""What the kernel refuses a judged process, tried from native code, past everything that Python sees."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, json, os, sys, threading
from lessons.course.judge import limits

tree, outside, parent = sys.argv[1:]
limits.limit(60, 4 << 30)
held = limits.lock_in([tree])
libc = ctypes.CDLL(None, use_errno=True)
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
print(json.dumps({
    "held": held,
    "fork": libc.fork(),
    "exec": libc.execv(b"/bin/true", (ctypes.c_char_p * 2)(b"true", None)),
    "socket": libc.socket(2, 1, 0),
    "kill another": libc.kill(int(parent), 0),
    "kill itself": libc.kill(os.getpid(), 0),
    "raise a limit": libc.setrlimit(9, ctypes.byref((ctypes.c_ulong * 2)(1 << 62, 1 << 62))),
    "write inside": libc.open(f"{tree}/file".encode(), os.O_CREAT | os.O_WRONLY, 0o600) > 0,
    "write outside": libc.open(f"{outside}/file".encode(), os.O_CREAT | os.O_WRONLY, 0o600) > 0,
    "read outside": libc.open(f"{outside}/there".encode(), os.O_RDONLY) > 0,
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's")
def test_what_the_kernel_refuses(tmp_path):
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    (outside / "there").touch()
    command = [sys.executable, "-c", SCRIPT, str(tree), str(outside), str(os.getpid())]
    tried = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    held = tried.pop("held")
    if "processes and network" in held:
        for name in ("fork", "exec", "socket", "kill another", "raise a limit"):
            assert tried[name] == -1, name
    assert tried["kill itself"] == 0
    assert tried["write inside"]
    assert tried["read outside"]
    if "files" in held:
        assert not tried["write outside"]
    if not held:
        pytest.skip("this kernel holds nothing")
