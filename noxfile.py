"""Checks for people and for .ci/run: `nox -s lint`, `nox -s tests`, `nox -s host`."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "tests"]

CONSTRAINTS = "constraints.txt"
# what to ask pip for, and whether releases newer than the tested ones are let in
HOSTS = {
    "small-text-1-old-transformers": (["small-text==1.4.1", "transformers==4.57.6"], False),
    "small-text-1": (["small-text==1.4.1"], True),
    "small-text-2": (["small-text==2.0.0.dev4"], True),
}


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and types."""
    session.install("-c", CONSTRAINTS, ".[dev,experiments]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit tests on what a plain install brings."""
    session.install("-c", CONSTRAINTS, ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
@nox.parametrize("name", list(HOSTS), ids=list(HOSTS))
def host(session: nox.Session, name: str) -> None:
    """Run the integration tests on one pair of small-text and transformers."""
    requirements, newest = HOSTS[name]
    constraints = _without_upper_bounds(session) if newest else CONSTRAINTS
    session.install("-c", constraints, ".[test]", *requirements)
    session.run("pip", "list")
    session.run("pytest", "integration_tests", *session.posargs)


def _without_upper_bounds(session: nox.Session) -> str:
    lines = Path(CONSTRAINTS).read_text(encoding="utf-8").splitlines(keepends=True)
    path = Path(session.create_tmp()) / "newest.txt"
    path.write_text("".join(line for line in lines if "<=" not in line), encoding="utf-8")
    return str(path)
