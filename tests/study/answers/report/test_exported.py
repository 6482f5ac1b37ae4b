"""The page, and every other reader, on exports: what they say of results, they say of exports."""

import re
import shutil

import pytest

from study.cli import main
from study.store.store import WEIGHTS

READERS = [["status"], ["summary", "--format", "csv"], ["compare", "--format", "csv"]]
VERDICT = ["verdict", "--format", "csv"]
"""Takes seconds, for one hypothesis is computed anew."""


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("exports")
    assert main(["export", str(folder), str(target)]) == 0
    return target / folder.name


@pytest.fixture(scope="module")
def estimates(folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("estimates")
    assert main(["export", str(folder), str(target), "--estimates"]) == 0
    return target / folder.name


def said(capsys, *words):
    assert main(list(map(str, words))) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", ["exported", "estimates"])
@pytest.mark.parametrize("words", [*READERS, pytest.param(VERDICT, marks=pytest.mark.slow)], ids=lambda words: words[0])
def test_readers_say_the_same_of_exports(folder, kind, request, capsys, words):
    exported = request.getfixturevalue(kind)
    capsys.readouterr()  # what the export said
    of_results, of_exports = (said(capsys, words[0], place, *words[1:]) for place in (folder, exported))
    of_exports = of_exports.replace(str(exported), str(folder)).replace("; 4 exported, without weights", "")
    assert of_exports == of_results


def test_the_page_shows_every_picture_of_the_results(folder, exported, tmp_path, capsys):
    pages = []
    for place in (folder, exported):
        said(capsys, "report", place, "--output", tmp_path / f"{len(pages)}.html")
        pages.append((tmp_path / f"{len(pages)}.html").read_text("utf-8"))
    of_results, of_exports = (re.findall(r'src="data:image/[^"]+"', page) for page in pages)
    assert len(of_results) > 10
    assert of_exports == of_results


def test_a_page_without_pictures_says_so(folder, exported, estimates, tmp_path, capsys):
    for place, pictures in ((exported, True), (estimates, False)):
        said(capsys, "report", place, "--output", tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text("utf-8")
        assert ("The number under each picture" in page) == pictures
        assert ("These results hold no pictures." in page) != pictures


def test_parts_of_a_study_are_read_as_the_whole(folder, exported, tmp_path, capsys):
    """As from two machines, which share a cell."""
    places = [tmp_path / name / folder.name for name in ("monday", "tuesday")]
    keys = sorted(path.name for path in (exported / "cells").iterdir())
    for place, own in zip(places, (keys[:3], keys[2:]), strict=True):
        for key in own:
            shutil.copytree(exported / "cells" / key, place / "cells" / key)
    for words in READERS[1:]:
        whole, parts = (said(capsys, words[0], *where, *words[1:]) for where in ([folder], places))
        assert parts == whole


def test_the_verb_says_how_large_the_export_is_and_names_what_it_leaves_out(folder, tmp_path, capsys):
    damaged = shutil.copytree(folder, tmp_path / "made-up")
    cell = sorted((damaged / "cells").iterdir())[0]
    (cell / WEIGHTS).unlink()
    assert main(["export", str(damaged), str(tmp_path / "exports")]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"3 cells, \d+\.\d MB without weights: .*exports", out)
    assert f"left out: {cell}: weights.safetensors is absent" in err.replace("\n", "")


@pytest.mark.slow
def test_real_cells_are_exported(tmp_path, capsys):
    results = tmp_path / "results"
    assert main(["run", "smoke", "prior=vamp", "--results", str(results), "--workers", "1", "--no-report"]) == 0
    assert main(["export", str(results), str(tmp_path / "exports")]) == 0
    capsys.readouterr()
    for words in READERS[1:]:
        of_results, of_exports = (
            said(capsys, words[0], place, *words[1:]) for place in (results, tmp_path / "exports")
        )
        assert of_exports == of_results
    assert "exported" in said(capsys, "status", tmp_path / "exports")
