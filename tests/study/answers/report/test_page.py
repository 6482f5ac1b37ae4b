"""The page as text: whole, escaped, closed to the network; its answer follows from the numbers."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis import plots
from analysis.interval import Interval
from analysis.sprite import COLUMNS, SHOWN, sprite
from study.answers.effects import TOGETHER, Effects, store_effects
from study.answers.hypotheses import Decision, Group
from study.answers.report import chapters, write_files
from study.answers.report.claims import claims
from study.answers.report.explorer import panels
from study.answers.report.page import render
from study.answers.report.picture import Picture, themed
from study.answers.report.strip import strip
from study.answers.results import Results
from study.cli import main
from study.errors import ConfigurationError
from study.store.contents import Held

EVIL = "<script>alert('x')</script>"
SOURCES = ["held_out", "reconstruction", "local", "aggregate_train", "prior", "gaussian_mixture"]


class Tags(HTMLParser):
    """Start tags with their attributes, and the text of the page outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.inside = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.text += "" if self.inside in {"script", "style"} else data

    def of(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture(scope="module")
def page(folder):
    return render(chapters([folder]))


def test_calibration_has_its_figure_where_it_was_asked_for(page):
    assert "Share of simulated z that have at most this rank" in Tags(page).text


def test_sources_of_samples_are_called_what_the_result_says(page):
    text = Tags(page).text
    for name in SOURCES:
        assert f"{name}, as titled" in text
        assert f"z of {name}" in text


def test_the_policy_allows_its_own_style_and_script_alone(page):
    (policy,) = [meta["content"] for meta in Tags(page).of("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded_from_elsewhere(page):
    tags = Tags(page)
    targets = [value for _, attributes in tags.found for name, value in attributes.items() if name in {"src", "href"}]
    assert targets
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert not [attributes for _, attributes in tags.found if any(name.startswith("on") for name in attributes)]
    assert not [attributes for _, attributes in tags.found if "style" in attributes]


def test_every_image_has_a_size_and_words(page):
    images = Tags(page).of("img")
    assert len(images) > 20
    for image in images:
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
        assert len(image["alt"]) > 10


def test_anchors_lead_somewhere_and_ids_are_unique(page):
    tags = Tags(page)
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in tags.of("a")} <= set(ids)


def test_markup_in_results_stays_text(hostile):
    text = render(chapters([hostile]))
    tags = Tags(text)
    assert len(tags.of("script")) == 1
    assert not [image for image in tags.of("img") if "onerror" in image]
    assert tags.text.count(EVIL) >= 3 + 2 * len(SOURCES)  # flag, command, device; title and formula of each source
    assert "<img src=x onerror=alert(2)>/" in tags.text


def test_the_answer_follows_from_the_numbers(folder, page):
    (chapter,) = chapters([folder])
    happens, _why, helps, sure = chapter.conclusion.parts
    assert "further from real images" in happens.statements[0].text
    assert "a mixture of normal distributions" in helps.statements[0].text
    claims = [case for case in chapter.cases.values() if case.hypothesis.family != "check"]
    judged = [case.verdict.decision for case in claims if case.verdict.rule is not None]
    counts = [judged.count(decision) for decision in get_args(Decision)]
    assert "{} supported, {} refuted, {} not supported, {} undecided".format(*counts) in str(sure)
    text = " ".join(Tags(page).text.split())
    assert chapter.conclusion.seen.text in text
    assert all(statement.text in text for part in chapter.conclusion.parts for statement in part.statements)


def test_the_strip_is_in_the_order_of_the_question(folder):
    (chapter,) = chapters([folder])
    tiles = strip(chapter.conclusion)
    order = ["held_out", "reconstruction", "local", "aggregate_train", "prior", "gaussian_mixture"]
    assert [tile.source for tile in tiles] == order
    assert all("±" in tile.level for tile in tiles)


def test_claims_are_grouped_and_none_is_lost(folder, page):
    (chapter,) = chapters([folder])
    assert {case.hypothesis.group for case in chapter.cases.values()} == set(get_args(Group))
    text = Tags(page).text
    titles = [text.index(f"\n{title}\n") for title in ("The picture", "The cause", "The cure")]
    assert titles == sorted(titles)
    assert all(f"{name} {case.verdict.decision}" in text for name, case in chapter.cases.items())


def test_remedies_show_levels_beside_shares(page):
    heads = Tags(page).text
    assert heads.index("its aggregate") < heads.index("share closed")


def test_a_study_without_most_groups_has_a_page(tmp_path, make):
    store = make(tmp_path / "r", dims=(2,), priors=("vamp",))
    (found,) = chapters([store.root])
    (cell,) = found.results
    alone = Held(xr.DataTree.from_dict({"aggregate": cell.group("aggregate")}))
    text = render([replace(found, results=Results((cell.with_contents(alone),)))])
    assert "was not measured" in text
    assert 'class="source"' not in text


def test_many_labels_are_a_list_and_overview_figures_show_one_family(tmp_path, make):
    names = ("standard_normal", "vamp", "realnvp", "maf", "energy", "lars", "student_t", "exemplar", "full_normal")
    tags = Tags(render(chapters([make(tmp_path / "r", dims=(2,), priors=names).root])))
    assert [option for option in tags.of("option") if "selected" in option] == [{"selected": None}]
    assert len(tags.of("option")) == len(names)
    assert not [field for field in tags.of("input") if field["type"] == "radio"]


def test_of_very_many_cells_the_page_shows_some_and_says_so(tmp_path, make, monkeypatch):
    store = make(tmp_path / "r", dims=(2, 4), priors=("standard_normal", "vamp", "realnvp"))
    (whole,) = chapters([store.root])
    assert (len(whole.shown), whole.leaves_out) == (6, 0)
    monkeypatch.setattr("study.answers.report.chapter.FEW", 1)
    monkeypatch.setattr("study.answers.report.chapter.MOST", 5)
    (found,) = chapters([store.root])
    monkeypatch.setattr(type(found), "principal", found.results.where(prior="vamp"))
    about = {found.conclusion.phenomenon.cell.key, *(cell.key for cell in found.results.where(prior="vamp"))}
    assert {cell.key for cell in found.shown} >= about
    assert 0 < found.leaves_out == 6 - len(found.shown)
    text = render([found])
    assert f"has the numbers of the {found.leaves_out} others" in text
    assert {panel.key for panel in panels(found)} == {cell.key for cell in found.shown}
    assert set(found.shown_numbers["prior"]) < set(found.numbers["prior"])


def test_without_a_finished_cell_there_is_no_page(tmp_path):
    with pytest.raises(ConfigurationError, match="no finished cell"):
        chapters([tmp_path])


def test_report_writes_the_page_where_it_is_asked_to(folder, tmp_path, capsys):
    path = tmp_path / "deep" / "page.html"
    assert main(["report", str(folder), "--output", str(path)]) == 0
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert str(path) in capsys.readouterr().out


def test_a_claim_that_cannot_be_drawn_costs_its_figure_alone(folder, monkeypatch, caplog):
    (chapter,) = found = chapters([folder])
    name = next(claims(chapter)).name

    def broken(_evidence):
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(chapter.cases[name].hypothesis, "draw", broken)
    drawn = {figure.name for figure in claims(chapter)}
    assert name not in drawn
    assert drawn
    assert f"{name} could not be drawn (ZeroDivisionError: no such luck)" in caplog.text
    assert render(found).startswith("<!doctype html>")


def test_files_are_figures_in_three_formats_with_captions_and_tables(folder, tmp_path):
    (chapter,) = found = chapters([folder])
    place = write_files(found, tmp_path) / chapter.dataset
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        assert (place / f"mismatch.{kind}").read_bytes().startswith(start)
    captions = (place / "captions.txt").read_text("utf-8")
    assert all(f"{path.stem}\n" in captions for path in place.glob("*.svg"))
    assert (place / "numbers.csv").read_text("utf-8").count("\n") == len(chapter.numbers) + 1
    assert (place / "verdicts.csv").exists()


def test_figures_follow_the_page_into_the_dark():
    picture = Picture.of_figure(plots.forest([("vamp", Interval(1, 0, 2, 3))], "x"), "words")
    text = base64.b64decode(picture.uri.partition(",")[2]).decode()
    assert plots.INK not in text.replace(f"--ink:{plots.INK}", "")
    assert "var(--ink)" in text
    assert "prefers-color-scheme:dark" in text
    assert themed("<?xml?><svg a='b'><g/></svg>").startswith("<svg a='b'><style>")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sprite_shows_the_first_images_in_rows(channels):
    images = np.random.default_rng(0).integers(0, 256, (23, channels, 8, 8), dtype=np.uint8)
    tiled = sprite(images)
    assert tiled.shape == (4 * 9 - 1, COLUMNS * 9 - 1, 4)
    second = tiled[:8, 9:17]
    assert (second[..., 3] == 255).all()
    np.testing.assert_array_equal(second[..., 2], images[1, -1])
    assert (tiled[8] == 0).all()
    assert (sprite(images[:7])[9:17, 18:, 3] == 0).all()
    assert SHOWN == 20


def test_effects_that_were_estimated_are_on_the_page_and_their_names_stay_text(tmp_path, make):
    store = make(tmp_path / "made-up", dims=(2,), priors=("vamp",))
    line = {"coefficient": "prior_effect[<b>]", "mean": 0.25, "lower": 0.1, "upper": 0.4, "positive": 1.0}
    settled = {"ess": 1234.0, "r_hat": 1.004, "replicates": 24, "cells": 8}
    fitted = Effects(
        pd.DataFrame([{"outcome": "kl", **line, **settled}]),
        pd.DataFrame({"level": [0.25, 0.75], "share": [0.3, 0.7], "lower": [0.1, 0.5], "upper": [0.5, 0.9]}),
    )
    store_effects(fitted, store.root, "digits", "kl")
    text = render(chapters([store.root]))
    assert "What goes with the dimension" in text
    assert "prior_effect[&lt;b&gt;]" in text
    assert "0.1 … 0.4" in text
    assert "1230" in text
    assert "1.004" in text
    assert "Leave-one-out predictions of KL" in text
    assert "over all data sets together" not in text
    store_effects(fitted, store.root, TOGETHER, "kl")
    (chapter,) = chapters([store.root])
    assert "over all data sets together" in render([chapter, replace(chapter, dataset="other_images")])
    (tmp_path / "made-up" / "effects" / "digits-kl.csv").unlink()
    assert "What goes with the dimension" not in render(chapters([store.root]))


def test_several_data_sets_have_a_matrix_of_claims_and_one_has_none(folder, page):
    (chapter,) = chapters([folder])
    assert 'id="matrix"' not in page
    text = render([chapter, replace(chapter, dataset="other_images")])
    assert 'id="matrix"' in text
    rows = text[text.index('id="matrix"') :]
    assert rows.count("<tr>") >= len(chapter.cases)
    assert "other_images</th>" in rows
