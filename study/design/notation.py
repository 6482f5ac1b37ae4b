"""Notation: how settings are written, as YAML files and as ``key=value`` on the command line.

Scalars follow YAML 1.2's core schema, so that ``1e-3`` is a number and ``off`` a word (YAML 1.1, which PyYAML reads by
default, has it the other way round). A key may occur once. Sequences become tuples. A document is refused while it is
read, at the first value beyond one of the :mod:`~study.design.limits`, and so before its aliases are copied out.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any

import yaml

from study.design.limits import DIGITS, NESTING, NODES, STUDY_FILE_BYTES
from study.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema scalars, unique keys, and no more nodes, levels or digits than the limits allow."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  (the name PyYAML reads)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0
        self._sizes: dict[int, int] = {}
        """Nodes that a composed node denotes, its aliases expanded, by its identity."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One node with all below it, counted; an alias counts as much as what it stands for."""
        mark = self.peek_event().start_mark
        alias = self.check_event(yaml.AliasEvent)
        before = self._count
        self._depth += 1
        if self._depth > NESTING:
            raise _beyond(f"more than {NESTING} lists and mappings within each other", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None:
            if alias and id(node) not in self._sizes:
                raise _beyond("an alias stands for what it is a part of", mark)
            self._count += self._sizes[id(node)] if alias else 1
            self._sizes[id(node)] = self._count - before
        if self._count > NODES:
            raise _beyond(f"more than {NODES:,} values, counting aliases at every use", mark)
        return node

    def construct_int(self, node: yaml.ScalarNode) -> int:
        """A decimal number: YAML 1.2 has no octal by a leading zero, which PyYAML's own reads."""
        if len(node.value) > DIGITS:
            raise _beyond(f"a number of {len(node.value):,} digits, where {DIGITS} are allowed", node.start_mark)
        return int(node.value)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in keys:
                problem = f"key {key.value!r} occurs twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in [
    ("null", r"~|null", "~n"),
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)


def _beyond(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def frozen(value: Any) -> Any:
    """``value`` with every list in it as a tuple, and without negative zeros, which would name another cell."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, float):
        return value + 0.0
    return tuple(frozen(item) for item in value) if isinstance(value, list | tuple) else value


def read_text(source: str) -> str:
    """The text of a study file.

    Raises ConfigurationError where ``source`` is no regular file (a device or pipe is not opened), is larger than a
    study may be, or is not UTF-8.
    """
    try:
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
            raise ConfigurationError(f"cannot read the study {source}: it is {kind}; name a YAML file")
        # Without blocking, should the file become a pipe between the two calls.
        with open(os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            content = file.read(STUDY_FILE_BYTES + 1)
        if len(content) > STUDY_FILE_BYTES:
            raise ConfigurationError(
                f"cannot read the study {source}: it has more than {STUDY_FILE_BYTES:,} bytes, the most of a study"
            )
        return content.decode("utf-8")
    except (OSError, ValueError) as error:  # of a path with a null character, or of its bytes
        reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
        raise ConfigurationError(f"cannot read the study {source}: {reason}") from error


def parse_document(text: str, source: str) -> Any:
    """The value that ``text`` denotes; a syntax error names ``source`` and the line."""
    try:
        return frozen(yaml.load(text, _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        raise ConfigurationError(f"{source}{line}: {problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationError(f"{source} is not readable as YAML: {str(error).splitlines()[0]}") from error


def parse_override(text: str) -> tuple[str, tuple[Any, ...]]:
    """Key and values of ``key=value[,value …]``; a value that is itself a list is bracketed, ``hidden=[400,400]``."""
    key, equals, values = text.partition("=")
    if not equals or not key:
        raise ConfigurationError(f"expected key=value after the study's name; got {text!r}")
    try:
        parsed = parse_document(f"[{values}\n]", key)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{key}={values} is not a value or a comma-separated list of values; quote or bracket what contains commas"
        ) from error
    if not parsed:
        raise ConfigurationError(f"{key}= needs a value")
    return key, parsed
