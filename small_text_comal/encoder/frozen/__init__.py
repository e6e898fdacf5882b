"""The engine of frozen layers: how a model is split, by which route documents go, and what is stored."""
