"""Comparisons of query strategies that can be run, stopped, resumed and looked at (extra `experiments`)."""
