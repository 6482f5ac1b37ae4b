"""The documentation does what it says: commands and programs run, links lead somewhere, and it builds cleanly.

Blocks marked ``python`` are whole programs. Those marked ``py`` are sketches with names of the reader's own, for which
a small model stands here.
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from study.cli import main
from study.design.families import FAMILIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    page for page in [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "FINDINGS.md")), *DOCS.rglob("*.md")]
    if not {"_build", "reference", "examples"} & set(page.relative_to(ROOT).parts)
)  # fmt: skip
GALLERY = sorted((DOCS / "gallery").glob("plot_*.py"))
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?: {4}|\$ )(?:pip install uv && )?(?:uv run )?(latent-study .*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s,=]+)(?:#[^)]*)?\)")

SOURCE = re.compile(r"`((?:analysis|models|study|tests)/[\w/.]*\.\w+)`")
WRITTEN_BY_A_READER = {
    "models/priors/laplace.py",
    "study/answers/hypotheses/h23_use.py",
    "study/measurement/estimators/largest_mean.py",
    "tests/study/answers/hypotheses/worlds/h23_use.py",
}
"""Files that a page shows how to add."""

STANDS_FOR = {"RESULTS": "results/first_look", "results/other/first_look": "results/first_look", "DIR": "data"}
"""Names on a page that stand for a user's own files."""

ABSENT = ("scvi_model", "adapted(model)")
"""Statements of sketches with one of these need a package that is optional; tests of adapters have them."""

OTHER_COMMAND = re.compile(r"uv run python (?:-m )?((?:tests|study)[\w./]*)")
"""A program of the project that a page names."""


def commands(page):
    """The commands of a page, without their comments."""
    lines = COMMAND.findall(page.read_text("utf-8"))
    return [line.partition("  #")[0].strip() for line in lines]


COMMANDS = sorted({line for page in PAGES for line in commands(page)})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which a user has run a small study under the name of the first one."""
    folder = tmp_path_factory.mktemp("user")
    words = [
        "latent_dim=2",
        "prior=standard_normal,gaussian_mixture",
        "train.epochs=1",
        "--no-report",
        "--device",
        "cpu",
    ]
    assert main(["run", "smoke", *words, "--workers", "1", "--results", str(folder / "results")]) == 0
    shutil.move(folder / "results" / "smoke", folder / "results" / "first_look")
    shutil.copytree(folder / "results" / "first_look", folder / "swapped" / "first_look")
    rng = np.random.default_rng(0)
    for name in ("codes", "epoch_10", "epoch_90"):
        np.savez(folder / f"{name}.npz", loc=rng.normal(size=(400, 3)), scale=np.full((400, 3), 0.5))
    for name in ("cats", "dogs"):
        (folder / "my-images" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "my-images" / name / f"{number}.png")
    (study,) = [text for language, text in FENCE.findall((DOCS / "start.md").read_text("utf-8")) if language == "yaml"]
    (folder / "my-study.yaml").write_text(study, "utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_do_what_a_page_says(line, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(typer, "launch", lambda page: 0)  # there is no screen
    line = re.sub(r" \[.*\]", "", line)
    words = [STANDS_FOR.get(word, word) for word in shlex.split(line)[1:]]
    words = [word.replace("s3://bucket", f"file://{place}/bucket") for word in words]
    if "/bucket/" in line:  # there are results at the URL
        pytest.importorskip("zarr", reason="the extra objects is not installed")
        monkeypatch.setenv("LATENT_STUDY_CACHE", str(place / "cache"))
        main(["gather", "results/first_look", "--into", f"file://{place}/bucket/results"])
    words += ["--dry-run"] if words[0] == "run" and "--dry-run" not in words else []
    if words[0] == "export":
        shutil.rmtree(words[-1], ignore_errors=True)
    elif missing := [word for word in words if word.startswith(("shared/", "from-"))]:
        for folder in missing[:1]:
            main(["export", "results/first_look", folder])
        words = [word for word in words if word not in missing[1:]]
    code, said = main(words), capsys.readouterr().err
    assert code == 0 or (words[0] == "effects" and "effects need" in said), said


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_programs_run(page, place, tmp_path, monkeypatch, capsys):
    """In a copy of the place: a program finds no results of another page's."""
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "user"))
    names = {"__name__": "page"}
    for language, text in FENCE.findall(page.read_text("utf-8")):
        if language == "python":
            exec(compile(text, str(page), "exec"), names)


@pytest.mark.slow
def test_sketches_run_on_a_model(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    names = {"__name__": "page"}
    programs = FENCE.findall((DOCS / "guides" / "diagnose.md").read_text("utf-8"))
    sketches = [text for page in PAGES for language, text in FENCE.findall(page.read_text("utf-8")) if language == "py"]
    assert sketches
    for text in [*(text for language, text in programs if language == "python"), *sketches]:
        program = ast.parse(text)
        program.body = [each for each in program.body if not any(word in ast.unparse(each) for word in ABSENT)]
        exec(compile(program, "page", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_entry_points_are_those_that_are_read(page):
    for language, text in FENCE.findall(page.read_text("utf-8")):
        if language == "toml":
            (group,) = tomllib.loads(text)["project"]["entry-points"]
            assert group.removeprefix("latent_study.") in {family.plural for family in FAMILIES.values()}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_programs_that_a_page_names_exist(page):
    for name in OTHER_COMMAND.findall(page.read_text("utf-8")):
        path = ROOT / (name if name.endswith(".py") else name.replace(".", "/"))
        assert path.is_file() or path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_within_a_page_lead_to_a_heading(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


@pytest.mark.parametrize("page", [*PAGES, ROOT / "analysis" / "METHODS.md"], ids=str)
def test_links_lead_somewhere(page):
    generated = ("examples/", "reference/", "../examples/", "../reference/")
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if not target.startswith(("http", "mailto:", *generated)):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, ROOT / "analysis" / "METHODS.md"], ids=str)
def test_sources_that_a_page_names_are_there(page):
    named = set(SOURCE.findall(page.read_text("utf-8"))) - WRITTEN_BY_A_READER
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


@pytest.mark.slow
@pytest.mark.timeout(900)  # five hundred pages take minutes, and more where other work shares the cores
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", tmp_path / "trees"]
    done = subprocess.run(
        [*command, DOCS, tmp_path / "html"], capture_output=True, text=True, timeout=900, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pages = {path.relative_to(tmp_path / "html").as_posix() for path in (tmp_path / "html").rglob("*.html")}
    assert {"index.html", "reference/catalogue.html", "reference/api/analysis.estimate.html"} <= pages
    assert {f"examples/{example.stem}.html" for example in GALLERY} <= pages
