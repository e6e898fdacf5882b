"""The bar of a run: score, round and labels are seen on any usual terminal; pipes get nothing."""

import io
import os
import struct

import pytest

pytest.importorskip("tqdm")
pytest.importorskip("termios")

import fcntl
import pty
import termios

from small_text_comal.experiments.running.progress import RunProgress


def show_rounds(title, metrics):
    """The first of ten rounds, and the begin of the second."""
    progress = RunProgress(title, 11)
    progress.before_round(0, 100)
    progress.after_round({"round": 0, "labels": 100, "metrics": metrics})
    progress.before_round(1, 150)
    return progress


@pytest.fixture
def line(monkeypatch):
    """Returns what a terminal of some width shows at the end."""

    def shown(title, *, columns=80, metrics=None):
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with os.fdopen(writer, "w", encoding="utf-8") as terminal:
            monkeypatch.setattr("sys.stderr", terminal)
            progress = show_rounds(title, metrics or {"micro_f1": 0.456})
            print(file=terminal, flush=True)
            written = b""
            while not written.endswith(b"\n"):
                written += os.read(reader, 100_000)
            progress.close()
        os.close(reader)
        return written.decode().rstrip().split("\r")[-1]

    return shown


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("title", ["nlupp / CoMAL / seed 0", "nlupp / CoMAL(criterion='paper') / seed 0"])
def test_score_round_and_labels_are_seen(line, columns, title):
    text = line(title, columns=columns)
    assert f"{title}, micro-F1 0.456, round 1/10, 150" in text
    assert len(text) < columns


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_and_the_time_left_follow(line, columns):
    before, _, after = line("nlupp / CoMAL / seed 0", columns=columns).partition(" |")
    assert before.endswith("150 labels")
    bar, _, left = after.partition("| ")
    assert len(bar) > 2
    assert left.endswith(" left")


def test_without_micro_f1_the_round_is_seen(line):
    assert "d / MMC / seed 0, round 1/10, 150 labels" in line("d / MMC / seed 0", metrics={"p@1": 0.5})


def test_nothing_is_written_where_no_terminal_is(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    show_rounds("d / MMC / seed 0", {"micro_f1": 0.5}).close()
    assert pipe.getvalue() == ""
