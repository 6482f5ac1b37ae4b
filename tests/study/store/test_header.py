"""Headers: values that are shared among cells are those that each had."""

import json

from study.design.cell import Cell
from study.store.header import Header, Shared, Span
from study.store.manifest import Manifest

FIELDS = {"schema_version": 4, "images": "abc", "files": {}, "device": "cpu", "seconds": 1.0, "command": ""}


def header(**settings):
    cell = Cell.from_config(settings)
    about = {"details": {}, "versions": {"numpy": "2"}, "created": "2026-11-27T12:00:00+00:00"}
    manifest = Manifest(key=cell.key, config=json.loads(json.dumps(cell.config())), **FIELDS, **about)
    return Header(2, ((1, 2, 3, 4),), manifest, {"aggregate": {"chain": 2}}, {"aggregate": Span(0, 8, "0f")})


def test_what_is_read_is_what_was_written():
    shared = Shared()
    headers = [header(latent_dim=dim, beta=beta) for dim in (2, 4) for beta in (1.0, 0.5)]
    read = [Header.of(each.line(), shared) for each in headers]
    assert read == headers
    assert all(each.manifest.config["train"] is read[0].manifest.config["train"] for each in read)
    assert all(each.sizes is read[0].sizes for each in read)


def test_values_that_differ_in_type_alone_are_not_one():
    shared = Shared()
    values = [{"a": value} for value in (1, 1.0, True, "1", None, [1], [1.0])]
    found = [shared(value) for value in values]
    assert [type(each["a"]) for each in found] == [int, float, bool, str, type(None), list, list]
    assert [type(each["a"][0]) for each in found[-2:]] == [int, float]
    assert shared({"a": 1}) is found[0]
