"""Settings as they are written, cells and their keys, and the product of factors."""

import json
import pickle
import re
from pathlib import Path

import pytest
import torch

from study.design.cell import Cell, key_of
from study.design.families import FAMILIES
from study.design.labels import labels, titles
from study.design.notation import parse_document, parse_override
from study.design.parts import resolve
from study.design.signature import read_signature, signature_of
from study.design.study import Study, presets
from study.errors import ConfigurationError
from study.run.building import new_vae
from study.run.checking import check


def study(settings=None, factors=None):
    return Study.from_document("test", {"settings": settings or {}, "factors": factors or {}}, "test.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beta=1e-3", (1e-3,)),
        ("beta=4", (4,)),
        ("latent_dim=2,8,32", (2, 8, 32)),
        ("latent_dim=16x8x8", ("16x8x8",)),
        ("prior=vamp,standard_normal", ("vamp", "standard_normal")),
        ("network.hidden=[400,400]", ((400, 400),)),
        ("network.hidden=[400,400],[200]", ((400, 400), (200,))),
        ("prior={name: vamp, components: 200}", ({"name": "vamp", "components": 200},)),
        ("train.patience=off", ("off",)),
        ("train.patience=null", (None,)),
        ("dataset.colour=true", (True,)),
        ("x=089", (89,)),
        ("x='a,b'", ("a,b",)),
        ("x=a=b", ("a=b",)),
    ],
)
def test_an_override_reads_as_yaml_1_2(text, expected):
    key, values = parse_override(text)
    assert key == text.partition("=")[0]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


def test_a_document_keeps_words_that_yaml_1_1_takes_for_booleans():
    text = "a: no\nb: 1e3\nc: on\nd: ~\ne: 0x1f\nf: .5\n"
    assert parse_document(text, "here") == {"a": "no", "b": 1000.0, "c": "on", "d": None, "e": "0x1f", "f": 0.5}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a: 1\nb: 2\na: 3\n", ["line 3", "'a' occurs twice"]),
        ("a: 1\nb: [1, 2\n", ["line 3"]),
        ("a: 1\n\tb: 2\n", ["line 2"]),
        ("1: a\n", ["line 1", "a key must be a word"]),
        ("a: !!python/object:os.system ls\n", ["line 1"]),
        ("a: &x [*x]\n", ["here"]),
        ("[" * 5000, ["here"]),
    ],
)
def test_a_syntax_error_names_its_place_in_one_line(text, names):
    with pytest.raises(ConfigurationError) as caught:
        parse_document(text, "here")
    assert "\n" not in str(caught.value)
    assert all(name in str(caught.value) for name in ["here", *names])


def test_every_default_is_in_the_configuration():
    config = Cell().config()
    assert config["prior"] == {"name": "standard_normal"}
    assert config["network"]["name"] == "mlp"
    assert config["network"]["hidden"]
    assert config["train"]["learning_rate"] == 1e-3


COMPANIONS = {"hypersphere": {"posterior": "von_mises_fisher"}, "von_mises_fisher": {"prior": "hypersphere"}}
"""Parts that only make sense together."""


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_every_registered_part_makes_a_cell_that_survives_json_and_pickle(kind):
    for name in FAMILIES[kind]:
        chosen = {"evaluate": {"densities": [name]}} if kind == "density" else {kind: name}
        cell = Cell.from_config({**chosen, "latent_dim": "4x2x2", **COMPANIONS.get(name, {})})
        assert Cell.from_config(json.loads(json.dumps(cell.config()))) == cell
        assert pickle.loads(pickle.dumps(cell)) == cell
        check(cell)


@pytest.mark.parametrize(
    ("notation", "shape"), [(1, (1,)), (32, (32,)), ("32", (32,)), ("16x8x8", (16, 8, 8)), ("1x1", (1, 1))]
)
def test_latent_dim_is_the_product_of_the_latent_shape(notation, shape):
    cell = Cell.from_config({"latent_dim": notation})
    assert cell.latent_shape == shape
    assert cell.latent_dim == torch.Size(shape).numel()
    assert new_vae(cell, (1, 8, 8)).prior().event_shape == shape


DEFINING = [
    {"dataset": "mnist"},
    {"dataset": {"name": "folder", "colour": True}},
    {"binarisation": "threshold"},
    {"image_size": 16},
    {"limit": 100},
    {"latent_dim": 31},
    {"latent_dim": "32x1"},
    {"network": "conv"},
    {"network": {"name": "mlp", "hidden": [400]}},
    {"network": "spatial", "latent_dim": 9},
    {"network": {"name": "spatial", "rank": 2}, "latent_dim": 9},
    {"network": {"name": "spatial", "dense_bias": "channel"}, "latent_dim": 9},
    {"evaluate": {"refinement": 10}},
    {"posterior": {"name": "diagonal_normal", "min_scale": 1e-3}},
    {"prior": "vamp"},
    {"prior": {"name": "vamp", "components": 49}},
    {"beta": 2},
    {"seeds": 3},
    {"train": {"epochs": 99}},
    {"train": {"updates": 99}},
    {"train": {"batch_size": 127}},
    {"train": {"learning_rate": 1e-4}},
    {"train": {"schedule": "cosine"}},
    {"train": {"kl_warmup": 1}},
    {"train": {"patience": 1}},
    {"train": {"precision": "bf16"}},
    {"evaluate": {"draws": 10}},
    {"evaluate": {"components": [1]}},
    {"evaluate": {"covariances": ["full"]}},
]


def test_every_setting_that_defines_the_result_changes_the_key():
    keys = {Cell().key, *(Cell.from_config(change).key for change in DEFINING)}
    assert len(keys) == 1 + len(DEFINING)


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"engine": "eager"}},
        {"train": {"replicates": "one_by_one"}},
        {"train": {"checkpoint_every": 1}},
        {"train": {"processes": 2}},
        {"beta": 1},
        {"latent_dim": "32"},
        {"prior": {"name": "standard_normal"}},
        {"train": {"patience": "none"}},
    ],
)
def test_how_a_cell_is_computed_or_written_does_not_change_its_key(change):
    assert Cell.from_config(change).key == Cell().key


def test_a_key_does_not_depend_on_the_order_of_settings():
    config = Cell().config()
    assert key_of(dict(reversed(config.items()))) == key_of(config) == Cell().key
    assert len(Cell().key) == 12


def test_checking_a_cell_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    check(Cell.from_config({"prior": "gaussian_mixture", "network": "conv"}))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_option_out_of_its_range_is_a_configuration_error_before_anything_is_built():
    with pytest.raises(ConfigurationError, match=r"^prior\.components must be at least 1; got 0$"):
        Cell.from_config({"prior": {"name": "vamp", "components": 0}})


def test_a_constructor_that_refuses_an_option_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="min_scale < scale"):
        check(Cell.from_config({"likelihood": {"name": "gaussian_shared", "min_scale": 0.5}}))
    with pytest.raises(ConfigurationError, match="multiples of 4"):
        check(Cell.from_config({"network": "conv"}), (1, 30, 30))


def test_cells_are_the_product_with_the_first_factor_slowest():
    cells = study(factors={"prior": ["vamp", "standard_normal"], "latent_dim": [2, 8]}).cells()
    assert [(c.prior.name, c.latent_dim) for c in cells] == [
        ("vamp", 2),
        ("vamp", 8),
        ("standard_normal", 2),
        ("standard_normal", 8),
    ]


def test_a_part_option_applies_to_the_parts_that_have_it():
    made = study({"prior.components": 7}, {"prior": ["vamp", "standard_normal", "gaussian_mixture"]})
    assert [cell.prior.options.get("components") for cell in made.cells()] == [7, None, 7]


def test_a_part_option_as_a_factor_makes_no_duplicates():
    made = study(factors={"prior": ["vamp", "standard_normal"], "prior.components": [5, 6]})
    assert [(c.prior.name, c.prior.options.get("components")) for c in made.cells()] == [
        ("vamp", 5),
        ("vamp", 6),
        ("standard_normal", None),
    ]


def test_a_part_option_that_finds_no_part_is_refused():
    with pytest.raises(ConfigurationError, match=r"prior\.components applies to no prior of this study \(standard_nor"):
        study({"prior.components": 7}).cells()


def test_the_example_of_the_documentation():
    words = "dataset=digits latent_dim=2,16 prior=vamp,standard_normal prior.components=200 beta=1,4 seeds=2"
    made = study().override([*words.split(), "train.epochs=3", "network=conv", "network.hidden=128"])
    cells = made.cells()
    assert len(cells) == 8
    assert {cell.train.epochs for cell in cells} == {3}
    assert {cell.network.options["hidden"] for cell in cells} == {128}
    assert {cell.prior.options.get("components") for cell in cells} == {200, None}


def test_the_order_of_overrides_does_not_matter():
    words = ["prior.components=9", "prior=vamp", "latent_dim=2,4"]
    one = study({"prior": "gaussian_mixture"}).override(words)
    other = study({"prior": "gaussian_mixture"}).override(reversed(words))
    assert {c.key for c in one.cells()} == {c.key for c in other.cells()}


def test_an_option_given_before_its_part_is_not_silently_dropped():
    for words in (["prior.spread=2", "prior=vamp"], ["prior=vamp", "prior.spread=2"]):
        with pytest.raises(ConfigurationError, match=r"prior\.spread applies to no prior"):
            study().override(words).cells()


def test_an_override_replaces_a_factor_or_a_setting():
    base = study({"beta": 2}, {"latent_dim": [2, 8]})
    assert [c.latent_dim for c in base.override(["latent_dim=4"]).cells()] == [4]
    assert [c.beta for c in base.override(["beta=1,4", "latent_dim=4"]).cells()] == [1, 4]


def test_choosing_a_part_drops_the_options_that_it_lacks_and_keeps_those_that_it_has():
    base = study({"prior": "vamp", "prior.components": 7})
    assert [c.prior.name for c in base.override(["prior=standard_normal"]).cells()] == ["standard_normal"]
    assert [c.prior.options["components"] for c in base.override(["prior=gaussian_mixture"]).cells()] == [7]


def test_choosing_a_part_starts_from_its_defaults():
    base = study({"prior": {"name": "gaussian_mixture", "components": 3}})
    (cell,) = base.override(["prior=vamp"]).cells()
    assert cell.prior == resolve("prior", "vamp")


def test_overriding_leaves_the_study_as_it_was():
    base = study({"beta": 2}, {"latent_dim": [2, 8]})
    base.override(["beta=3", "latent_dim=1"])
    assert [(c.beta, c.latent_dim) for c in base.cells()] == [(2, 2), (2, 8)]


def test_the_presets_hold_what_they_promise():
    sweep = {name: Study.load(name).cells() for name in presets()}
    assert {"digits", "mnist", "smoke"} <= sweep.keys()
    three = {"standard_normal", "gaussian_mixture", "vamp"}
    digits = sweep["digits"]
    assert {(c.latent_dim, c.train.updates) for c in digits} >= {(d, u) for d in (2, 8, 32, 128) for u in (880, 3520)}
    assert {cell.train.schedule for cell in digits} == {"constant", "cosine"}
    assert {cell.train.updates for cell in sweep["controls_digits"] if cell.limit} == {1650}
    assert {(c.prior.name, c.latent_dim) for c in digits} >= {(p, d) for p in three for d in (2, 32, 128)}
    assert {c.beta for c in digits} == {0.25, 0.5, 1}
    assert {c.objective.name for c in digits} == {"elbo", "both_means", "kl_mean"}
    assert {cell.seeds for cell in digits} == {3}
    asker = sweep["asker"]
    assert {(c.latent_shape, c.objective.name) for c in asker} == {
        ((1024, 8, 8), "elbo"), ((1024, 8, 8), "both_means"), ((1024, 8, 8), "kl_mean"), ((16,), "elbo"),
    }  # fmt: skip
    assert {cell.prior.name for cell in sweep["mnist"]} == three
    assert {cell.latent_dim for cell in sweep["mnist"]} >= {2, 256}
    assert all(Study.load(name).description for name in presets())


ARMS = """
settings: {seeds: 3, prior: vamp, prior.components: 7}
factors: {latent_dim: [2, 8]}
arms:
  plain: {}
  rate: {settings: {latent_dim: 4}, factors: {beta: [1, 4]}}
  prior: {settings: {prior: standard_normal}}
  again: {settings: {latent_dim: 2}}
"""


def arms() -> Study:
    return Study.from_document("arms", parse_document(ARMS, "arms.yaml"), "arms.yaml")


def described(study: Study) -> list[tuple]:
    return [(c.prior.name, c.prior.options.get("components"), c.latent_dim, c.beta, c.seeds) for c in study.cells()]


def test_a_study_of_arms_is_the_union_of_their_products():
    assert described(arms()) == [
        ("vamp", 7, 2, 1, 3),
        ("vamp", 7, 8, 1, 3),
        ("vamp", 7, 4, 1, 3),
        ("vamp", 7, 4, 4, 3),
        ("standard_normal", None, 2, 1, 3),
        ("standard_normal", None, 8, 1, 3),
    ]


def test_an_override_changes_every_arm():
    assert described(arms().override(["beta=2", "seeds=1"])) == [
        ("vamp", 7, 2, 2, 1), ("vamp", 7, 8, 2, 1), ("vamp", 7, 4, 2, 1),
        ("standard_normal", None, 2, 2, 1), ("standard_normal", None, 8, 2, 1),
    ]  # fmt: skip
    assert described(arms().override(["prior=vamp", "prior.components=9", "latent_dim=3"])) == [
        ("vamp", 9, 3, 1, 3), ("vamp", 9, 3, 4, 3)
    ]  # fmt: skip


OWN_PRIORS = """
settings: {seeds: 1, latent_dim: 2}
arms:
  one: {settings: {prior: standard_normal}}
  two: {settings: {prior: vamp, prior.components: 7}}
  three: {factors: {prior: [gaussian_mixture, vamp]}}
"""


def test_an_option_reaches_the_parts_that_an_arm_chooses_itself():
    study = Study.from_document("own", parse_document(OWN_PRIORS, "own.yaml"), "own.yaml")
    changed = described(study.override(["prior.components=9"]))
    assert changed == [
        ("standard_normal", None, 2, 1, 1), ("vamp", 9, 2, 1, 1), ("gaussian_mixture", 9, 2, 1, 1)
    ]  # fmt: skip
    assert ("vamp", 5, 2, 1, 1) in described(study.override(["prior.components=5,9"]))


@pytest.mark.parametrize("where", ["command line", "file"])
def test_an_option_that_no_arm_uses_is_refused(where):
    document = parse_document(OWN_PRIORS, "own.yaml")
    if where == "file":
        document["settings"]["prior.rounds"] = 3
    study = Study.from_document("own", document, "own.yaml")
    with pytest.raises(ConfigurationError, match="rounds applies to no prior of this study"):
        (study.override(["prior.rounds=3"]) if where == "command line" else study).cells()


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("{settings: {betta: 1}}", "did you mean 'beta'"),
        ("{settings: {beta: 1}, factors: {beta: [1, 2]}}", "arm one: beta is set twice"),
        ("{factors: {beta: []}}", "at least one"),
        ("{factor: {beta: [1]}}", "unknown setting 'arms.one.factor'"),
        ("3", "arms.one"),
    ],
)
def test_a_faulty_arm_is_one_sentence(arm, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Study.from_document("s", parse_document(f"arms: {{one: {arm}}}", "s.yaml"), "s.yaml")


def test_a_study_is_read_from_a_file_and_named_after_it(tmp_path: Path):
    path = tmp_path / "sweep.yaml"
    path.write_text("description: a sweep\nsettings:\n  train: {epochs: 3}\nfactors:\n  beta: [1, 4]\n")
    made = Study.load(str(path))
    assert made.name == "sweep"
    assert [(c.beta, c.train.epochs) for c in made.cells()] == [(1, 3), (4, 3)]


def test_labels_leave_out_what_most_cells_share_and_how_they_are_evaluated():
    common = [Cell.from_config({"latent_dim": size}) for size in (2, 4, 8)]
    other = [Cell.from_config({"beta": 4}), Cell.from_config({"evaluate": {"draws": 7}})]
    named = labels({cell.key: cell.config() for cell in (*common, *other)})
    assert list(named.values()) == ["standard_normal"] * 3 + ["standard_normal, beta=4", "standard_normal"]
    again = [Cell.from_config({}), Cell.from_config({"evaluate": {"draws": 7}})]
    named = labels({cell.key: cell.config() for cell in again})
    assert list(named.values()) == ["standard_normal, evaluate.draws=2000", "standard_normal, evaluate.draws=7"]


def test_labels_name_what_varies_and_nothing_else():
    cells = [
        Cell.from_config({"prior": prior, "beta": beta, "latent_dim": size})
        for prior in ("standard_normal", {"name": "vamp", "components": 5}, {"name": "vamp", "components": 6})
        for beta in (1, 4)
        for size in (2, 16)
    ]
    named = labels({cell.key: cell.config() for cell in cells})
    assert list(dict.fromkeys(named.values())) == [
        "standard_normal, beta=1",
        "standard_normal, beta=4",
        "vamp, prior.components=5, beta=1",
        "vamp, prior.components=5, beta=4",
        "vamp, prior.components=6, beta=1",
        "vamp, prior.components=6, beta=4",
    ]


def test_maps_are_labelled_apart_from_vectors():
    cells = [Cell.from_config({"latent_dim": size}) for size in (16, "4x2x2", "8x2x2")]
    named = titles({cell.key: cell.config() for cell in reversed(cells)})
    assert list(named.values()) == [
        "standard_normal, D=4x2x2",
        "standard_normal, D=16",
        "standard_normal, D=8x2x2",
    ]


def test_titles_tell_a_common_prior_and_what_most_cells_share_where_they_are_asked_to():
    cells = [Cell.from_config({"beta": beta, "latent_dim": size}) for beta, size in ((1, 2), (1, 4), (4, 2))]
    configs = {cell.key: cell.config() for cell in cells}
    assert set(titles(configs).values()) == {
        "standard_normal, D=2",
        "standard_normal, D=4",
        "standard_normal, beta=4, D=2",
    }
    assert set(titles(configs, common_prior=False).values()) == {"D=2", "D=4", "beta=4, D=2"}
    assert titles(configs, every=True)[cells[0].key] == "standard_normal, beta=1, D=2"
    several = configs | {"other": Cell.from_config({"prior": "vamp"}).config()}
    assert titles(several, common_prior=False)["other"].startswith("vamp, ")


DENSITY_OPTIONS = [{"name": "gaussian_mixture", "covariance": "low_rank", "rank": 8}, "moment_normal"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["evaluate.densities=[{name: gaussian_mixture, covariance: low_rank, rank: 8}, moment_normal]"],
        [
            "evaluate.densities=[gaussian_mixture,moment_normal]",
            "evaluate.densities.gaussian_mixture.covariance=low_rank",
            "evaluate.densities.gaussian_mixture.rank=8",
        ],
    ],
    ids=["mapping", "dotted"],
)
def test_densities_are_parts_with_options(overrides):
    (cell,) = Study.load("smoke").override(["prior=standard_normal", "latent_dim=2", *overrides]).cells()
    assert Cell.from_config(json.loads(json.dumps(cell.config()))) == cell
    mixture, normal = cell.evaluate.densities
    assert mixture.options["rank"] == 8
    assert mixture.options["covariance"] == "low_rank"
    assert mixture.label == "gaussian_mixture[covariance=low_rank,rank=8]"
    assert normal.label == "moment_normal"


def test_one_density_may_be_fitted_with_several_options_and_once_with_each():
    both = ["gaussian_mixture", {"name": "gaussian_mixture", "covariance": "full"}]
    cell = Cell.from_config({"evaluate": {"densities": both}})
    assert [part.label for part in cell.evaluate.densities] == ["gaussian_mixture", "gaussian_mixture[covariance=full]"]
    with pytest.raises(ConfigurationError, match="gaussian_mixture is named twice"):
        Cell.from_config({"evaluate": {"densities": ["gaussian_mixture", "gaussian_mixture"]}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluate.densities.gausian_mixture.rank=8", "did you mean 'gaussian_mixture'"),
        ("evaluate.densities.gaussian_mixture.ranks=8", "did you mean 'evaluate.densities.gaussian_mixture.rank'"),
        ("evaluate.densities.flow.patience=3", "applies to no density of this study"),
        ("evaluate.densities=[{name: flow, kind: cubic}]", "kind"),
        ("evaluate.densities.flow=3", "flow"),
    ],
)
def test_a_wrong_option_of_a_density_is_one_sentence(override, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Study.load("smoke").override([override]).cells()


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_a_signature_read_from_source_is_that_of_the_class(kind):
    family = FAMILIES[kind]
    for name in family:
        # As texts: pydantic's Field(ge=1) equals no other Field(ge=1), and is written like it.
        assert repr(family.signature(name)) == repr(signature_of(family[name])), name
        assert read_signature(f"{family.base.__module__.removesuffix('._base')}.{name}", *place(family)) is not None


def place(family):
    """A family's package and the name of its base class."""
    return family.base.__module__.removesuffix("._base"), family.base.__name__
