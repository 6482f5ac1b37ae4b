"""Notation: how settings are written, as YAML files and as ``key=value`` on the command line.

Scalars follow YAML 1.2's core schema, so that ``1e-3`` is a number and ``off`` a word (YAML 1.1, which PyYAML reads by
default, has it the other way round). A key may occur once. Sequences become tuples.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from study.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema scalars, unique keys."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  (the name PyYAML reads)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"key {key.value!r} occurs twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in [
    ("null", r"~|null", "~n"),
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
# PyYAML's own reads a leading zero as octal.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def frozen(value: Any) -> Any:
    """``value`` with every list in it as a tuple."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(frozen(item) for item in value) if isinstance(value, list | tuple) else value


def parse_document(text: str, source: str) -> Any:
    """The value that ``text`` denotes; a syntax error names ``source`` and the line."""
    try:
        return frozen(yaml.load(text, _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{source}{line}: {error.problem or error.context}") from error
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
