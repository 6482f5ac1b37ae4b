"""Design: a study is the product of named factors over fixed settings (Fisher 1935); each point is a cell.

A setting has a dotted name: ``beta``, ``train.epochs``, ``prior``, ``prior.components``. The last kind, an option of a
part, applies to those parts of the product that have such an option; one of a density fitted to codes, of which a cell
has several, names it: ``evaluate.densities.flow.patience``.

Controls vary one factor at a time about a common centre, which no product does without waste: a study may have *arms*,
each with settings and factors of its own over the common ones. Its cells are the union of the arms' products, and an
override changes the common settings and every arm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import AfterValidator, Field

from study.design.cell import Cell, Evaluate, Train
from study.design.cluster import CLUSTER, ClusterOptions, overridden_cluster
from study.design.families import FAMILIES
from study.design.length import check_one_length, other_length
from study.design.limits import ARMS, CELLS
from study.design.notation import frozen, parse_document, parse_override, read_text
from study.design.option_key import chosen_parts, denoted, option_key
from study.design.parts import resolve
from study.design.registry import UnknownName
from study.design.settings import Settings, validated
from study.errors import ConfigurationError
from study.paths import safe_name

__all__ = ["Cell", "Study", "presets"]

PRESETS = Path(__file__).parent / "presets"

SECTIONS: dict[str, type[Settings]] = {"train": Train, "evaluate": Evaluate}


def presets() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in PRESETS.iterdir() if file.name.endswith(".yaml"))


@final
class Arm(Settings):
    """Settings and factors, under dotted names, that replace those of the study they belong to."""

    settings: dict[str, Any] = Field(default_factory=dict)
    factors: dict[str, tuple[Any, ...]] = Field(default_factory=dict)


@final
class Study(Settings):
    """Fixed settings, and factors with the values that each takes, all under dotted names.

    >>> study = Study.load("digits").override(["latent_dim=2,8", "prior=vamp", "seeds=1"])
    >>> sorted({(cell.prior.name, cell.latent_dim) for cell in study.cells()})
    [('vamp', 2), ('vamp', 8)]
    """

    name: Annotated[str, AfterValidator(safe_name)]
    description: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    factors: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    arms: dict[str, Arm] = Field(default_factory=dict)
    cluster: ClusterOptions = Field(default_factory=ClusterOptions)

    @classmethod
    def load(cls, source: str) -> Study:
        """The study of a preset's name, or of a YAML file whose path ``source`` is.

        Raises ConfigurationError where there is none, or what it says is not a study.
        """
        if source in presets():
            text, name = PRESETS.joinpath(f"{source}.yaml").read_text("utf-8"), source
        elif "/" in source or source.endswith((".yaml", ".yml")):
            text, name = read_text(source), Path(source).stem
        else:
            raise ConfigurationError(f"{UnknownName('preset', source, presets())}; a file's name ends in .yaml")
        return cls.from_document(name, parse_document(text, source), source)

    @classmethod
    def from_document(cls, name: str, document: Any, source: str) -> Study:
        """The study ``name`` of a ``document``: ``description``, ``settings``, ``factors``, ``arms``, ``cluster``.

        Raises ConfigurationError, which calls the file ``source``, where the document is not a study.
        """
        if not isinstance(document, Mapping):
            raise ConfigurationError(f"{source}: expected description, settings and factors; got {document!r}")
        entries = frozen(document)
        if "name" in entries:
            raise ConfigurationError(f"{source}: a study has the name of its file; leave out name")
        arm_entries = entries.get("arms", {})
        if not isinstance(arm_entries, Mapping):
            raise ConfigurationError(f"{source}: expected arms by name, with settings and factors; got {arm_entries!r}")
        if len(arm_entries) > ARMS:
            raise ConfigurationError(
                f"{source}: {len(arm_entries):,} arms, where {ARMS:,} are allowed; write several studies"
            )
        arms = {key: validated(Arm, arm, within=f"arms.{key}.") for key, arm in arm_entries.items()}
        study = validated(cls, {**entries, "arms": arms, "name": name})
        arms = {key: _checked(arm, f"{source}, arm {key}") for key, arm in arms.items()}
        common = _checked(Arm(settings=study.settings, factors=study.factors), source)
        return study.model_copy(update={"settings": common.settings, "factors": common.factors, "arms": arms})

    def override(self, assignments: Iterable[str]) -> Study:
        """This study with ``assignments``, ``key=value[,value …]`` each, applied; several values make the key a factor.

        Choosing parts anew drops those of the study's part options that none of the chosen parts has.

        Raises ConfigurationError where a key is unknown or set twice.
        """
        pairs = sorted(map(parse_override, assignments), key=lambda pair: "." in pair[0])
        cluster = overridden_cluster(self.cluster, pairs)
        pairs = [pair for pair in pairs if not pair[0].startswith(CLUSTER)]
        names = [key for key, _ in pairs]
        for key in names:
            _check_name(key)
            if names.count(key) > 1:
                raise ConfigurationError(f"{key} is given twice; give all its values at once: {key}=a,b")
        check_one_length(names, "the command")
        assigned = dict(pairs)
        common = _overridden(Arm(settings=self.settings, factors=self.factors), assigned)
        arms = {name: _with_options(_without(arm, assigned), assigned) for name, arm in self.arms.items()}
        return self.model_copy(
            update={"settings": common.settings, "factors": common.factors, "arms": arms, "cluster": cluster}
        )

    def size(self) -> int:
        """Number of points of all arms' products: of cells, if no configuration occurs twice."""
        return sum(math.prod(map(len, arm.factors.values())) for arm in self._merged_arms())

    def cells(self) -> list[Cell]:
        """The cells of the product in a stable order, first factor slowest; equal configurations occur once.

        Raises ConfigurationError where a value is out of range, an option applies to no part, or, before any of them is
        made, there are more than a study may have.
        """
        if self.size() > CELLS:
            raise ConfigurationError(
                f"the study {self.name} has {self.size():,} cells, where {CELLS:,} are allowed; "
                "give its factors fewer values"
            )
        cells: dict[str, Cell] = {}
        idle: set[str] | None = None
        for arm in self._merged_arms():
            for key in arm.factors:
                if key.removeprefix("train.") in Train.execution:
                    raise ConfigurationError(
                        f"{key} does not change a result, so it cannot be a factor; give one value"
                    )
            # With those of the common options that an arm's own choice of parts replaces.
            unused = {key for key in (*arm.settings, *arm.factors, *self.settings, *self.factors) if option_key(key)}
            for values in product(*arm.factors.values()):
                config, applied = _configuration({**arm.settings, **dict(zip(arm.factors, values, strict=True))})
                unused -= applied
                cell = Cell.from_config(config)
                cells.setdefault(cell.key, cell)
            # A common option may apply in one arm and not in another.
            idle = unused if idle is None else idle & unused
        for key in sorted(idle or ()):
            option = option_key(key)
            assert option is not None, "only options can be idle"
            names = sorted({part.name for cell in cells.values() for part in chosen_parts(cell, option.kind)})
            raise ConfigurationError(
                f"{key} applies to no {option.kind} of this study ({', '.join(names) or 'none'}); leave it out"
            )
        return list(cells.values())

    def _merged_arms(self) -> list[Arm]:
        """Each arm with the common settings and factors; these alone where there are no arms."""
        common = Arm(settings=self.settings, factors=self.factors)
        return [_merged(common, arm) for arm in self.arms.values()] or [common]


def _checked(arm: Arm, source: str) -> Arm:
    """The arm with its settings under dotted names, each of which exists and is set once."""
    settings = list(_dotted(arm.settings))
    names = [key for key, _ in settings]
    for key in [*names, *arm.factors]:
        _check_name(key)
    repeated = [key for key in names if names.count(key) > 1 or key in arm.factors]
    if repeated:
        raise ConfigurationError(f"{source}: {repeated[0]} is set twice")
    check_one_length((*names, *arm.factors), source)
    empty = [key for key, values in arm.factors.items() if not values]
    if empty:
        raise ConfigurationError(f"{source}: factor {empty[0]} needs at least one value")
    return arm.model_copy(update={"settings": dict(settings)})


def _merged(common: Arm, arm: Arm) -> Arm:
    """The arm over the common settings and factors; what it names, and options of a part it names anew, it replaces."""
    named = {**arm.settings, **arm.factors}

    def without_replaced(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value
            for key, value in table.items()
            if key not in named and key.partition(".")[0] not in named and not other_length(key, named)
        }

    return Arm(
        settings=without_replaced(common.settings) | arm.settings,
        factors=without_replaced(common.factors) | arm.factors,
    )


Assignments = Mapping[str, tuple[Any, ...]]


def _overridden(arm: Arm, assignments: Assignments) -> Arm:
    """The arm with the assignments made; several values make a factor."""
    rest = _without(arm, assignments)
    fixed = {key: values[0] for key, values in assignments.items() if len(values) == 1}
    varied = {key: values for key, values in assignments.items() if len(values) > 1}
    # A factor that is given new values keeps its place in the order of the product.
    factors = {key: varied.get(key, values) for key, values in arm.factors.items() if key in {**varied, **rest.factors}}
    return Arm(settings=rest.settings | fixed, factors=factors | varied)


def _without(arm: Arm, assignments: Assignments) -> Arm:
    """The arm without what is assigned; choosing parts anew drops the part options that none of the chosen has."""

    def still_applies(key: str) -> bool:
        option = option_key(key)
        if option is None or option.setting not in assignments:
            return True
        return any(option.fits(part) for value in assignments[option.setting] for part in denoted(option, value))

    def rest(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value
            for key, value in table.items()
            if key not in assignments and not other_length(key, assignments) and still_applies(key)
        }

    return Arm(settings=rest(arm.settings), factors=rest(arm.factors))


def _with_options(arm: Arm, assignments: Assignments) -> Arm:
    """The arm with the assigned options of parts that it chooses itself, and that would not reach it otherwise."""

    def applies(key: str) -> bool:
        option = option_key(key)
        if option is None or option.setting in assignments:
            return False
        chosen = [arm.settings[option.setting]] if option.setting in arm.settings else []
        values = [*chosen, *arm.factors.get(option.setting, ())]
        return any(option.fits(part) for value in values for part in denoted(option, value))

    return _overridden(arm, {key: values for key, values in assignments.items() if applies(key)})


def _configuration(chosen: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Nested configuration of dotted settings, and which part options found a part that has them."""
    config: dict[str, Any] = {}
    applied: set[str] = set()
    options = {key: option for key in chosen if (option := option_key(key))}
    for key in chosen:
        if key in options:
            continue
        section, _, name = key.rpartition(".")
        (config.setdefault(section, {}) if section else config)[name] = chosen[key]
    for key in sorted(options):
        option = options[key]
        section, _, name = option.setting.rpartition(".")
        settings = config.setdefault(section, {}) if section else config
        default = (SECTIONS[section] if section else Cell).model_fields[name].get_default(call_default_factory=True)
        parts = denoted(option, settings.get(name, default))
        for index, part in enumerate(parts):
            if option.fits(part):
                value = {"name": part.name, **part.options, option.name: chosen[key]}
                parts[index] = resolve(option.kind, value)
                applied.add(key)
        settings[name] = tuple(parts) if option.part else parts[0]
    return config, applied


def _dotted(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if key in SECTIONS and isinstance(value, Mapping):
            yield from ((f"{key}.{leaf}", item) for leaf, item in value.items())
        else:
            yield key, value


def _check_name(key: str) -> None:
    """Raises ConfigurationError unless ``key`` is the dotted name of a setting."""
    option = option_key(key)
    head, dot, _ = key.partition(".")
    if option:
        family = FAMILIES[option.kind]
        if option.part and option.part not in family:
            raise ConfigurationError(str(UnknownName(option.kind, option.part, family)))
        names = [option.part] if option.part else list(family)
        prefix = f"{option.setting}.{option.part}." if option.part else f"{option.setting}."
        known = sorted({prefix + name for part in names for name in family.options(part)})
    elif head in SECTIONS:
        known = [f"{head}.{field}" for field in SECTIONS[head].model_fields]
        if not dot:
            raise ConfigurationError(f"{head} is a group of settings; set one of them, such as {known[0]}")
    else:
        known = [field.alias or name for name, field in Cell.model_fields.items()]
        key = key if head in known else head
    if key not in known:
        raise ConfigurationError(str(UnknownName("setting", key, known)))
