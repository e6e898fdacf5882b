"""Checks for people and for .ci/run: `nox -s lint`, `nox -s tests`, `nox -s host`."""

import re
from pathlib import Path
from typing import NamedTuple

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "tests"]

CONSTRAINTS = "constraints.txt"


class Host(NamedTuple):
    """What to ask pip for beside the extras, and which tests to run on it."""

    requirements: list[str]
    extras: str = "test"
    newest: bool = False  # whether releases newer than the tested ones are let in
    tests: str = "integration_tests"


HOSTS = {
    "small-text-1-old-transformers": Host(["small-text==1.4.1", "transformers==4.57.6"]),
    "small-text-1": Host(["small-text==1.4.1"], extras="test,ray,dask,setfit", newest=True),
    "small-text-2": Host(["small-text==2.0.0.dev4"], extras="test,setfit", newest=True),
    # SetFit with small-text 1.4.1 fails on numpy 2, and pyarrow 26 on numpy 1
    "small-text-1-setfit": Host(
        ["small-text==1.4.1", "numpy<2", "pandas", "pyarrow<26"],
        extras="test,setfit",
        tests="integration_tests/test_setfit.py",
    ),
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
    """Run the integration tests on one set of releases."""
    asked = HOSTS[name]
    session.install("-c", _constraints(session, asked), f".[{asked.extras}]", *asked.requirements)
    session.run("pip", "list")
    session.run("python", "-m", "pytest", asked.tests, *session.posargs)


def _constraints(session: nox.Session, asked: Host) -> str:
    """The tested releases, less those that the host names itself and, for the newest, less the upper bounds."""
    named = {_package(requirement) for requirement in asked.requirements}
    lines = Path(CONSTRAINTS).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _package(line) not in named and not (asked.newest and "<=" in line)]
    # not in session.create_tmp(), which moves TMPDIR: Ray's sockets need a short path
    path = Path(session.virtualenv.location) / "constraints.txt"
    path.write_text("".join(kept), encoding="utf-8")
    return str(path)


def _package(requirement: str) -> str:
    return re.split(r"[<>=;\s]", requirement, maxsplit=1)[0]
