"""Pages that are made from the sources: catalogue of parts, presets, estimators, hypotheses, command line, modules."""

import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from inspect import getdoc
from itertools import groupby
from pathlib import Path

import analysis
import models
import study
from study.answers.hypotheses import HYPOTHESES
from study.cli import VERBS, verb_command
from study.design.families import DENSITIES, FAMILIES
from study.design.option_key import SEVERAL
from study.design.study import Study, presets

PACKAGES = (models, analysis, study)

NAMED = re.compile(r"^([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*): (?=\S)")
"""A line of a docstring that names a field or a parameter: ``value: of the quantity``."""


def write(folder: Path) -> None:
    """Writes every generated page into ``folder``, and leaves alone those that would not change."""
    pages = {
        "catalogue.md": _catalogue(),
        "presets.md": _presets(),
        "hypotheses.md": _hypotheses(),
        "command_line.md": _command_line(),
        "modules.md": _index(modules := _modules()),
        **{f"api/{module}.rst": _module(module) for module in modules},
    }
    (folder / "api").mkdir(exist_ok=True)
    for path in (folder / "api").glob("*.*"):  # of modules that there are no more
        if path.is_file() and f"api/{path.name}" not in pages:
            path.unlink()
    for name, lines in pages.items():
        path, text = folder / name, "\n".join(lines) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def readable(app: object, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Makes a docstring of this project one of Sphinx's.

    Lines ``value: of the quantity`` become fields, which are set as a list of parameters. Indented blocks, which hold
    formulas and programs, are set as they stand. The bar of q(z|x) and |z| is no mark of a substitution.

    Args:
        app: Sphinx's application.
        what: kind of the documented thing.
        name: its dotted name.
        item: the thing itself.
        options: those of the directive.
        lines: its docstring, changed in place.
    """
    result: list[str] = []
    in_fields = in_block = False
    for number, line in enumerate(lines):
        if line.strip():
            starts = number > 0 and not lines[number - 1].strip() and line.startswith("    ") and not in_fields
            in_block = line.startswith("    ") and (in_block or starts)
            if starts and in_block and result[-2:] != ["::", ""] and not _in_block(lines, number):
                result += ["::", ""]
        text = line if in_block or line.lstrip().startswith((">>>", "...")) else _with_plain_bars(line)
        if found := NAMED.match(line):
            if not in_fields and result and result[-1].strip():
                result.append("")
            first, *rest = found[1].split(", ")
            result += [f":param {each}: likewise" for each in rest]
            result.insert(len(result) - len(rest), f":param {first}: {text[found.end() :]}")
            in_fields = True
            continue
        if in_fields and text.strip() and not text.startswith(" "):
            in_fields = False
            if result[-1].strip():
                result.append("")
        result.append(text)
    lines[:] = result


def _in_block(lines: list[str], number: int) -> bool:
    """Whether the text before a line, blank lines aside, is indented already or announces a block itself."""
    before = next((line for line in reversed(lines[:number]) if line.strip()), "")
    return before.startswith("    ") or before.endswith("::")


def _with_plain_bars(line: str) -> str:
    """The line with its bars escaped, those in literals aside."""
    parts = line.split("``")
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    return "``".join(parts)


def _cell(text: object) -> str:
    """Text for one cell of a table."""
    return str(text).replace("|", r"\|").replace("*", r"\*").replace("\n", " ")


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(header)
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    yield from ("| " + " | ".join(map(_cell, row)) + " |" for row in rows)
    yield ""


def _catalogue() -> Iterator[str]:
    yield "# Catalogue of parts\n"
    yield "Every part is one file, chosen by its name; its options are settings under the keys that are shown here.\n"
    for family in FAMILIES.values():
        yield f"## {family.plural.capitalize()}\n"
        rows = []
        for name in family:
            signature = family.signature(name)
            prefix = f"{SEVERAL}.{name}" if family is DENSITIES else family.kind
            options = "<br>".join(
                f"`{prefix}.{option.name}={option.default}`" + (f" ({option.allowed})" if option.allowed else "")
                for option in signature.options.values()
            )
            rows.append((f"`{name}`", signature.summary, options, signature.reference))
        yield from _table(("name", "what it is", "options with defaults and ranges", "reference"), rows)


def _presets() -> Iterator[str]:
    yield "# Presets\n"
    yield "A preset is a study that comes with the package: `latent-study run NAME`.\n"
    yield "Its file says what each arm decides.\n"
    for name in presets():
        load = Study.load(name)
        yield f"## `{name}`\n"
        yield f"{load.description}\n"
        yield f"{len(load.cells())} cells. The file:\n"
        yield f"```{{literalinclude}} ../../study/design/presets/{name}.yaml\n:language: yaml\n```\n"


def _hypotheses() -> Iterator[str]:
    yield "# Hypotheses\n"
    yield "Each claim with the rule that decides it, as the text of its file states them.\n"
    for name, hypothesis in HYPOTHESES.items():
        yield f"## {name}\n"
        yield f"```{{eval-rst}}\n.. automodule:: {hypothesis.__module__}\n   :no-members:\n   :no-index:\n```\n"


def _command_line() -> Iterator[str]:
    yield "# Command line\n"
    for verb in VERBS:
        command = verb_command(verb)
        yield f"## `latent-study {verb}`\n"
        yield f"{(command.help or '').strip()}\n"
        rows = []
        for parameter in command.params:
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            label = f"`{parameter.metavar or parameter.name}`" if parameter.param_type_name == "argument" else names
            default = "" if parameter.default in (None, False, ()) or callable(parameter.default) else parameter.default
            rows.append((label, getattr(parameter, "help", "") or "", f"`{default}`" if default != "" else ""))
        yield from _table(("argument or option", "what it does", "default"), rows)


def _modules() -> list[str]:
    """Dotted names of the public modules, those of one folder beside each other."""
    names = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not any(part.startswith("_") for part in module.name.split("."))
        and not module.name.startswith(("study.findings", "study.notebooks"))
    ]
    return sorted(names, key=lambda name: name.rpartition("."))


def _index(modules: Iterable[str]) -> Iterator[str]:
    """What each module defines, by package; its pages are in no table of contents, which every page would repeat."""
    yield "# Modules, classes and functions\n"
    for package, members in groupby(modules, key=lambda name: name.rpartition(".")[0]):
        yield f"## `{package}`\n"
        rows = ((f"[`{name}`](api/{name}.rst)", (getdoc(import_module(name)) or "").split("\n")[0]) for name in members)
        yield from _table(("module", "what it defines"), rows)


def _module(name: str) -> Iterator[str]:
    """In reStructuredText: of such text within a page in Markdown, Sphinx writes the state of the whole site with each
    page that it keeps."""
    title = f"``{name}``"
    yield f":orphan:\n\n{title}\n{'=' * len(title)}\n\n.. automodule:: {name}"
    if elsewhere := sorted(set(_offered(name)) & _on_other_pages(name)):
        yield f"   :exclude-members: {', '.join(elsewhere)}"


def _offered(name: str) -> list[str]:
    return list(getattr(import_module(name), "__all__", []))


def _on_other_pages(package: str) -> set[str]:
    """Names on the pages of a package's modules: functions of their own names, and what its packages offer."""
    names: set[str] = set()
    for child in pkgutil.iter_modules(getattr(import_module(package), "__path__", [])):
        names |= {child.name, *(_offered(f"{package}.{child.name}") if child.ispkg else [])}
    return names
