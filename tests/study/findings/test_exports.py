"""Committed exports are whole, and say nothing of the machine that made them."""

import re

import pytest

from study.findings.first_look import HERE
from study.store.manifest import Manifest

MANIFESTS = sorted(HERE.rglob("cells/*/manifest.json"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_a_manifest_is_as_sealed_and_its_command_names_no_absolute_path(path):
    manifest = Manifest.model_validate_json(path.read_text("utf-8"))
    assert manifest.is_intact
    assert not re.search(r"(^|[\s=\"'])[/~]", manifest.command), manifest.command
