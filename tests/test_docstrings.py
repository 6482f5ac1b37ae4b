"""Docstrings: shapes in one grammar, every parameter named.

A shape is written ``(N, D)`` in double backticks, channels first. A public function, method or class with two
parameters or more names each of them, in double backticks or at the start of a line of ``name: what it is``; a
dataclass names its fields. A method that carries ``@override`` keeps the contract that its base documents, and each
option of a verb of the command line has a help text.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.cli import VERBS, verb_command

ROOT = Path(__file__).parents[1]
FOLDERS = ("models", "analysis", "study")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

_SIZE = r"(?:[A-Za-z]|\*\w+|num|num_\w+|[A-Z] [−+-] \d|[A-Z]/2)"
_ENTRY = rf"(?:{_SIZE}|\w+(?: [−+-] \d)?|len\(\w+\)|\.\.\.|…)"
BRACKETED = re.compile(rf"(?<![\w\])`.])\[(?:{_ENTRY}, )*{_SIZE}(?:, {_ENTRY})*\]")
"""``[N, D]`` where ``(N, D)`` is meant. An index follows a name, and an interval such as [0, 1] has no size in it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def docstrings(tree: ast.Module) -> Iterator[str]:
    """All docstrings of a module, private ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Definition):
            yield ast.get_docstring(node) or ""


def public(tree: ast.Module) -> Iterator[tuple[Definition, str]]:
    """Public functions, classes and methods, each with its docstring; a method with that of its class before it."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            yield node, text
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, Function) and (method.name == "__init__" or not method.name.startswith("_")):
                    yield method, f"{text}\n{ast.get_docstring(method) or ''}"


def parameters(node: Definition) -> list[str]:
    """What a caller passes: arguments but the instance, or the fields of a dataclass or named tuple."""
    decorators = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
    if isinstance(node, ast.ClassDef):
        if "dataclass" not in decorators and "NamedTuple" not in {ast.unparse(base) for base in node.bases}:
            return []
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        names = [ast.unparse(each.target) for each in fields if "ClassVar" not in ast.unparse(each.annotation)]
    elif "override" in decorators or node.name == "command":
        return []
    else:
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [each.arg for each in every if each.arg not in {"self", "cls"}]
    return [name for name in names if not name.startswith("_")]


def unnamed(node: Definition, text: str) -> list[str]:
    """Parameters that a docstring does not name, where there are two or more."""
    names = parameters(node)
    if len(names) < 2:
        return []
    return [name for name in names if not re.search(_naming(name), text, re.MULTILINE)]


def _naming(name: str) -> str:
    """Pattern of a docstring that names a parameter; one of a single letter may stand in a formula."""
    return rf"\b{name}\b" if len(name) == 1 else rf"``[^`]*\b{name}\b[^`]*``|^\s*(\w+, )*{name}(, \w+)*:"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shapes_are_written_in_one_grammar(path):
    texts = "\n".join(docstrings(ast.parse(path.read_text("utf-8"))))
    assert not [match.group() for match in BRACKETED.finditer(texts)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_parameter_is_named(path):
    missing = {node.name: unnamed(node, text) for node, text in public(ast.parse(path.read_text("utf-8")))}
    assert not {name: names for name, names in missing.items() if names}


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_has_a_help_text(verb):
    command = verb_command(verb)
    assert command.help
    assert not [each.name for each in command.params if not getattr(each, "help", None)]


@pytest.mark.parametrize("text", ["[N]", "codes [N, D]", "[B, *latent]", "[num, 3]", "[M − 1, F]", "[..., D, D]"])
def test_bracketed_shapes_are_recognised(text):
    assert BRACKETED.search(text)


@pytest.mark.parametrize("text", ["``(N, D)``", "in [0, 1]", "x[n]", "[lower, upper]", "[400, 400]", "[-B, B]"])
def test_intervals_and_indices_are_no_shapes(text):
    assert not BRACKETED.search(text)


def test_a_parameter_without_a_word_is_noticed():
    source = 'def distance(points, centres):\n    """Of ``points`` from others."""\n'
    assert [unnamed(node, text) for node, text in public(ast.parse(source))] == [["centres"]]
