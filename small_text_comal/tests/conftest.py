"""Repeatable property tests: hypothesis draws the same examples on every run, and no machine is too slow for it."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("repeatable")
