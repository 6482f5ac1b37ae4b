"""The direction of imports, and other rules of the house that a machine can hold."""

import ast
import functools
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.design.families import PRIORS

ROOT = Path(__file__).parents[1]
PACKAGES = {"models": {"models"}, "analysis": {"analysis"}, "study": {"study", "analysis", "models"}}
"""What each package may import of the three."""

LABELLED = {
    "analysis/tree.py",
    "analysis/summaries.py",
    "analysis/plots.py",
    "analysis/rank_plot.py",
    "analysis/draw_plots.py",
    "analysis/alignment_plot.py",
    "analysis/dimension_plot.py",
    "analysis/effects.py",
}
"""The only files of analysis that know xarray, ArviZ, pandas or matplotlib."""

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """What a file says."""
    return ast.parse(path.read_text("utf-8"))


@functools.cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file."""
    return tuple(ast.walk(tree_of(path)))


def imports(path: Path) -> Iterator[str]:
    """Top-level names of what a file imports, wherever it does so."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_follow_the_direction_of_the_data(path):
    package = path.relative_to(ROOT).parts[0]
    assert set(imports(path)) & set(PACKAGES) <= PACKAGES[package]


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "analysis")], ids=str)
def test_analysis_is_plain_arrays_but_for_its_labelled_shell(path):
    if str(path.relative_to(ROOT)) not in LABELLED:
        assert not set(imports(path)) & {"xarray", "arviz", "pandas", "matplotlib"}


@pytest.mark.parametrize("path", [p for p in FILES if not p.is_relative_to(ROOT / "models")], ids=str)
def test_no_prior_is_a_special_case(path):
    """No branch of study or analysis asks for a prior by its name."""
    asked = []
    for node in nodes_of(path):
        match node:
            case ast.Compare() | ast.keyword(arg="prior"):
                asked.append(node)
            case ast.match_case():
                asked.append(node.pattern)
    constants = {leaf.value for node in asked for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
    assert not constants & set(PRIORS)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_is_unpickled_or_evaluated(path):
    assert not set(imports(path)) & {"pickle", "cloudpickle", "dill", "joblib"}
    calls = [ast.unparse(node.func) for node in nodes_of(path) if isinstance(node, ast.Call)]
    assert not {"torch.load", "torch.save", "eval", "exec", "numpy.load", "np.load"} & set(calls)
    assert "yaml.load" not in calls or "SafeLoader" in path.read_text("utf-8")


OWN_STATE = {"randomness.py", "normal_noise.py", "plain_loop.py"}
"""Files that may seed: where streams come from, and a program that shares nothing with this software."""


@pytest.mark.parametrize("path", [p for p in FILES if p.name not in OWN_STATE], ids=str)
def test_streams_are_named_and_the_global_random_state_left_alone(path):
    """Generators come from :mod:`analysis.randomness`, by the words of their purpose, or without torch from
    :mod:`analysis.normal_noise`."""
    names = {"manual_seed", "manual_seed_all", "seed_all", "fork_rng", "set_rng_state", "SeedSequence", "default_rng"}
    names |= {"RandomState", "initial_seed"}
    used = {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in nodes_of(path) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not used & names


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_files_stay_one_noun_long(path):
    assert len(path.read_text("utf-8").splitlines()) <= 320


def test_no_import_cycle():
    graph = {path: set(_modules(path)) for path in FILES}
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES}
    edges = {names[path]: {name for name in modules if name in names.values()} for path, modules in graph.items()}
    order: list[str] = []
    while len(order) < len(edges):
        free = [name for name, needs in edges.items() if name not in order and needs - {name} <= set(order)]
        cycle = sorted(set(edges) - set(order))
        assert free, f"among {cycle} there is a cycle of imports"
        order += free


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "models")], ids=str)
def test_models_hide_no_import_from_the_interpreter(path):
    """A circle that only type checking walks is one all the same."""
    assert "TYPE_CHECKING" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_package_imports_a_private_module_of_another(path):
    for name in _imported(path):
        package, _, module = name.rpartition("._")
        if module and name.startswith(tuple(f"{each}." for each in PACKAGES)):
            assert path.is_relative_to(ROOT / package.replace(".", "/")), name


def _modules(path: Path) -> Iterator[str]:
    """Modules that importing this file imports: top level only, type checking aside."""
    for node in tree_of(path).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from itertools.chain([node.module], (f"{node.module}.{alias.name}" for alias in node.names))


GROUND = {"errors", "files", "paths"}
"""Modules of study that every wing may import; they import no wing."""

WINGS = {
    "design": set(),
    "store": {"design"},
    "measurement": {"design"},
    "run": {"design", "measurement", "store"},
    "answers": {"design", "store"},
    "diagnosis": {"design", "measurement", "store", "answers"},
}
"""What each wing of study may import of the others: answers → store, run → measurement → design, and none back; of a
diagnosis, which is no cell of a study, only the command line knows."""


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "study")], ids=str)
def test_wings_of_study_import_one_way(path):
    room = path.relative_to(ROOT / "study").parts[0].removesuffix(".py")
    if room not in WINGS and room not in GROUND:
        return
    imported = {name.split(".")[1] for name in _imported(path) if name.startswith("study.")}
    assert imported <= {room, *GROUND, *WINGS.get(room, set())}


def test_the_house_has_few_rooms_at_its_top():
    # A module and its stub are one room.
    rooms = {path.name.partition(".")[0] for path in (ROOT / "study").iterdir() if path.name != "__pycache__"}
    assert len(rooms) <= 14, sorted(rooms)


def _imported(path: Path) -> Iterator[str]:
    """Dotted names of the modules that a file imports, wherever it does so."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _within_functions(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that a file makes when a function of it is called."""
    functions = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    nested = {node for function in functions for node in ast.walk(function)}
    return (node for node in nodes_of(path) if node in nested and isinstance(node, ast.Import | ast.ImportFrom))


def test_imports_within_functions_are_few_and_each_says_why():
    places = [(path, node.lineno) for path in FILES for node in _within_functions(path)]
    assert len(places) <= 16, places
    for path, line in places:
        lines = path.read_text("utf-8").splitlines()
        reason = lines[line - 1].partition("PLC0415")[2]
        above = next(text for text in reversed(lines[: line - 1]) if "PLC0415" not in text)
        assert reason.strip() or above.strip().startswith("#"), f"{path}:{line} does not say why"


@pytest.mark.slow
def test_no_module_handles_signals_by_being_imported():
    """Some packages do, so that Ctrl-C would end a command with another code than its own, or not at all."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if path.stem != "__main__"]
    program = f"""
import importlib, signal
def handlers():
    return {{each: signal.getsignal(each) for each in signal.Signals}}
before = handlers()
for name in {names}:
    try:
        importlib.import_module(name)
    except ImportError:
        continue  # of a package that is not installed
    changed = [each.name for each, handler in handlers().items() if handler is not before[each]]
    assert not changed, (name, changed)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
