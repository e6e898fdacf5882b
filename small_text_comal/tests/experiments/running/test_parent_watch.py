"""A worker process ends with the process that started it, and only then."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from small_text_comal.experiments.running.parent_watch import end_with

WORKER = """
import os, time
from small_text_comal.experiments.running.parent_watch import end_with
end_with(os.getppid())
print(os.getpid(), flush=True)
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    sum(range(1000))
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps, to see which processes live")
def test_a_busy_worker_ends_when_its_parent_is_killed():
    command = [sys.executable, "-c", PARENT, WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(1)
        os.kill(worker, 0)  # it works as long as its parent lives
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert _ends(worker, within=20)


def _ends(pid, *, within):
    deadline = time.monotonic() + within
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not _is_alive(pid)


def _is_alive(pid):
    """Whether it runs; a zombie has ended, and only nobody asked for its exit status."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


def test_neither_this_process_nor_a_sender_elsewhere_is_watched(monkeypatch):
    monkeypatch.setattr("threading.Thread.start", lambda thread: pytest.fail("a watch was started"))
    end_with(None)
    end_with(os.getpid())
