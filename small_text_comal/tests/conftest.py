"""Repeatable tests: hypothesis draws the same examples on every run, and notes that come once come once in each."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported: the workers of pytest-xdist share the cores

import pytest
from hypothesis import settings

from small_text_comal.encoder.notes import note_once

# no machine is too slow for these examples
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def notes_are_new():
    note_once.cache_clear()
