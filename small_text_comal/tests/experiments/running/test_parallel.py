"""Runs side by side on this machine; clusters are tested in integration_tests."""

import os
import signal

import pytest

pytest.importorskip("joblib")

from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.running.parallel import run_side_by_side


def square(number):
    return number * number


def killed(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_one_job_runs_in_this_process():
    assert list(run_side_by_side(lambda: os.getpid(), [()], jobs=1)) == [os.getpid()]


def test_every_result_comes_back():
    tasks = [(number,) for number in range(5)]
    assert sorted(run_side_by_side(square, tasks, jobs=2)) == [0, 1, 4, 9, 16]


def test_a_killed_worker_is_told_of_with_the_way_on():
    with pytest.raises(UserError, match="the same command resumes"):
        list(run_side_by_side(killed, [(0,), (1,)], jobs=2))


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_package_names_the_extra(monkeypatch, backend, package):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("small_text_comal.experiments.running.parallel.import_module", missing)
    with pytest.raises(UserError, match=rf"needs the package {package}: pip install 'small-text-comal\[{backend}\]'"):
        list(run_side_by_side(square, [(1,)], jobs=2, backend=backend))
