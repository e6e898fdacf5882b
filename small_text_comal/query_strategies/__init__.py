"""Query strategies, one a file."""
