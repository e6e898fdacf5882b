"""Imports point one way: what each folder may import, and nothing else of the package."""

import ast
from pathlib import Path

import pytest

import small_text_comal

PACKAGE = Path(small_text_comal.__file__).parent

# Folder or module: what it may import besides itself. `small_text` stands for the host library.
MAY_IMPORT = {
    "config": set(),
    "metrics": set(),
    "method": {"config", "metrics"},
    "initialization": {"method"},
    "encoder": {"config", "method"},
    "host": {"config", "method", "small_text"},
    "classifiers": {"config", "method", "encoder", "host"},
    "query_strategies": {"config", "method", "classifiers", "host"},
    "experiments.data": {"initialization"},
}
CORE = {"config", "metrics", "method", "initialization", "encoder", "host", "classifiers", "query_strategies"}
WINGS = [
    "experiments.data",
    "experiments.options",
    "experiments.records",
    "experiments.running",
    "experiments.analysis",
]
MAY_IMPORT |= {wing: CORE | set(WINGS[:number]) for number, wing in enumerate(WINGS)}
MAY_IMPORT["experiments"] = CORE | set(WINGS)  # the command line


def place_of(module):
    """The longest entry of the table that a dotted module name lies in, or None."""
    inside = [place for place in MAY_IMPORT if module == place or module.startswith(place + ".")]
    return max(inside, key=len, default=None)


def imported_modules(source):
    """Names of all modules imported in a source, in functions as well, relative to the package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "small_text":
                yield "small_text"
            elif name.startswith("small_text_comal."):
                yield name.removeprefix("small_text_comal.")


def violations(place, source):
    allowed = MAY_IMPORT[place] | {place}
    found = {"small_text" if name == "small_text" else place_of(name) for name in imported_modules(source)}
    return sorted(found - allowed - {None})


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "tests" and parts != ("__init__",):
            yield pytest.param(path, ".".join(part for part in parts if part != "__init__"), id="/".join(parts))


@pytest.mark.parametrize(("path", "module"), list(modules()))
def test_a_module_imports_only_what_its_folder_may(path, module):
    place = place_of(module)
    assert place is not None, f"{module} lies in no folder of the table"
    assert violations(place, path.read_text(encoding="utf-8")) == []


def test_a_wrong_import_is_found():
    source = "def f():\n    from small_text_comal.query_strategies.comal import CoMAL\n    import small_text.utils\n"
    assert violations("method", source) == ["query_strategies", "small_text"]
    assert violations("experiments.data", "from small_text_comal.experiments.running import run") == [
        "experiments.running"
    ]
