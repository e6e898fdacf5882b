"""The command ``small-text-comal``, also ``python -m small_text_comal.experiments``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, or say what to install."""
    try:
        from small_text_comal.experiments.command_line import app

        app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("small_text_comal"):
            raise
        sys.exit(f"small-text-comal needs the package {error.name}: pip install 'small-text-comal[experiments]'")


if __name__ == "__main__":
    main()
