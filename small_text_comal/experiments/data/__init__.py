"""Corpora: read, checked, cut."""
