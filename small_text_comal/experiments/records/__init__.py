"""What an experiment writes: records of rounds, and what they belong to."""
