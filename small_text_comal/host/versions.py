"""Which small-text and transformers are installed, and whether this package runs on them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

__all__ = ["HOST_VERSION", "IS_HOST_2", "TRANSFORMERS_VERSION"]


def _check_versions() -> tuple[Version, Version]:
    """The installed small-text and transformers, or an ImportError that says what to install."""
    found = {}
    for package in ("small-text", "transformers", "datasets"):
        try:
            found[package] = Version(version(package))
        except PackageNotFoundError as error:
            raise ImportError(f"small-text-comal needs the package {package}: pip install {package}") from error
    host, transformers = found["small-text"], found["transformers"]
    if not (Version("1.4.1") <= host < Version("3.dev0")) or Version("2.dev0") <= host < Version("2.0.0.dev4"):
        raise ImportError(
            f"small-text-comal runs on small-text 1.4.1 and on 2.0.0.dev4 or newer 2.x, found {host}: "
            "pip install small-text==1.4.1 (or small-text==2.0.0.dev4)"
        )
    if transformers < Version("4.57"):
        raise ImportError(
            f"small-text-comal needs transformers 4.57 or newer, found {transformers}: pip install 'transformers>=4.57'"
        )
    return host, transformers


HOST_VERSION, TRANSFORMERS_VERSION = _check_versions()
IS_HOST_2 = Version("2.dev0") <= HOST_VERSION
