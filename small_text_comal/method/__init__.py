"""The paper's method and its continuations: arrays in, arrays out."""
