"""What an experiment is told: options, files, presets, strategies by name."""
