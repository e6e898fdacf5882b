"""From options to records: rounds, runs, and many runs side by side."""
