"""One vector per document: models with pooling, callables, and where vectors are kept."""
