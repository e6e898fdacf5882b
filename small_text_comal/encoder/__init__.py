"""From documents to feature vectors, computed once."""
