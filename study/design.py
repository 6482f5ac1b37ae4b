"""Design: a study is the product of named factors over fixed settings (Fisher 1935); each point is a cell.

A setting has a dotted name: ``beta``, ``train.epochs``, ``prior``, ``prior.components``. The last kind, an option of a
part, applies to those parts of the product that have such an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any, final

from pydantic import Field

from models.registry import UnknownName
from study.cell import Cell, Evaluate, Train
from study.errors import ConfigurationError
from study.notation import frozen, parse_document, parse_override
from study.parts import FAMILIES, Settings, resolve, validated

__all__ = ["Cell", "Study", "presets"]

SECTIONS: dict[str, type[Settings]] = {"train": Train, "evaluate": Evaluate}


def presets() -> list[str]:
    """Names of the studies that come with the package."""
    files = resources.files("study").joinpath("presets").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


@final
class Study(Settings):
    """Fixed settings, and factors with the values that each takes, all under dotted names."""

    name: str
    description: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    factors: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @classmethod
    def load(cls, source: str) -> Study:
        """The study of a preset's name, or of a YAML file."""
        if source in presets():
            text, name = resources.files("study").joinpath("presets", f"{source}.yaml").read_text("utf-8"), source
        elif "/" in source or source.endswith((".yaml", ".yml")):
            try:
                text, name = Path(source).read_text("utf-8"), Path(source).stem
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
                raise ConfigurationError(f"cannot read the study {source}: {reason}") from error
        else:
            raise ConfigurationError(f"{UnknownName('preset', source, presets())}; a file's name ends in .yaml")
        return cls.from_document(name, parse_document(text, source), source)

    @classmethod
    def from_document(cls, name: str, document: Any, source: str) -> Study:
        """The study ``name`` of a parsed file: ``description``, ``settings``, ``factors``."""
        if not isinstance(document, Mapping):
            raise ConfigurationError(f"{source}: expected description, settings and factors; got {document!r}")
        study = validated(cls, {**frozen(document), "name": name})
        settings = list(_dotted(study.settings))
        for key in [*(key for key, _ in settings), *study.factors]:
            _check_name(key)
        repeated = [key for i, (key, _) in enumerate(settings) if key in dict(settings[:i]) or key in study.factors]
        if repeated:
            raise ConfigurationError(f"{source}: {repeated[0]} is set twice")
        empty = [key for key, values in study.factors.items() if not values]
        if empty:
            raise ConfigurationError(f"{source}: factor {empty[0]} needs at least one value")
        return study.model_copy(update={"settings": dict(settings)})

    def override(self, assignments: Iterable[str]) -> Study:
        """This study with ``key=value[,value …]`` applied; several values make the key a factor.

        Choosing parts anew drops those of the study's part options that none of the chosen parts has.
        """
        settings, factors = dict(self.settings), dict(self.factors)
        seen: set[str] = set()
        for key, values in sorted(map(parse_override, assignments), key=lambda pair: "." in pair[0]):
            _check_name(key)
            if key in seen:
                raise ConfigurationError(f"{key} is given twice; give all its values at once: {key}=a,b")
            seen.add(key)
            settings.pop(key, None)
            if len(values) == 1:
                factors.pop(key, None)
                settings[key] = values[0]
            else:
                factors[key] = values
            if key in FAMILIES:
                known = set().union(*(_options(key, resolve(key, value).name) for value in values))
                for table in (settings, factors):
                    for stale in [name for name in table if name.startswith(f"{key}.") and name not in known]:
                        del table[stale]
        return self.model_copy(update={"settings": settings, "factors": factors})

    def cells(self) -> list[Cell]:
        """The cells of the product in a stable order, first factor slowest; equal configurations occur once."""
        for key in self.factors:
            if key.removeprefix("train.") in Train.execution:
                raise ConfigurationError(f"{key} does not change a result, so it cannot be a factor; give one value")
        cells: dict[str, Cell] = {}
        idle = {key for key in (*self.settings, *self.factors) if key.partition(".")[0] in FAMILIES and "." in key}
        for values in product(*self.factors.values()):
            config, applied = _configuration({**self.settings, **dict(zip(self.factors, values, strict=True))})
            idle -= applied
            cell = Cell.from_config(config)
            cells.setdefault(cell.key, cell)
        for key in sorted(idle):
            kind = key.partition(".")[0]
            names = sorted({getattr(cell, kind).name for cell in cells.values()})
            raise ConfigurationError(f"{key} applies to no {kind} of this study ({', '.join(names)}); leave it out")
        for cell in cells.values():
            cell.check()
        return list(cells.values())


def _configuration(chosen: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Nested configuration of dotted settings, and which part options found a part that has them."""
    config: dict[str, Any] = {}
    applied: set[str] = set()
    for key in sorted(chosen, key=lambda name: "." in name):
        head, dot, leaf = key.partition(".")
        if head in FAMILIES:
            default = config.get(head, Cell.model_fields[head].get_default(call_default_factory=True))
            part = resolve(head, chosen[key] if not dot else default)
            if dot and leaf in part.options:
                part = resolve(head, {"name": part.name, **part.options, leaf: chosen[key]})
                applied.add(key)
            config[head] = part
        elif dot:
            config.setdefault(head, {})[leaf] = chosen[key]
        else:
            config[head] = chosen[key]
    return config, applied


def _dotted(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if key in SECTIONS and isinstance(value, Mapping):
            yield from ((f"{key}.{leaf}", item) for leaf, item in value.items())
        else:
            yield key, value


def _check_name(key: str) -> None:
    """Raises ConfigurationError unless ``key`` is the dotted name of a setting."""
    head, dot, _ = key.partition(".")
    if head in SECTIONS:
        known = [f"{head}.{field}" for field in SECTIONS[head].model_fields]
        if not dot:
            raise ConfigurationError(f"{head} is a group of settings; set one of them, such as {known[0]}")
    elif head in FAMILIES and dot:
        known = sorted({option for name in FAMILIES[head] for option in _options(head, name)})
    else:
        known = [field.alias or name for name, field in Cell.model_fields.items()]
        key = key if head in known else head
    if key not in known:
        raise ConfigurationError(str(UnknownName("setting", key, known)))


def _options(kind: str, name: str) -> set[str]:
    """Dotted names of the options of one part."""
    return {f"{kind}.{option}" for option in FAMILIES[kind].options(name)}
