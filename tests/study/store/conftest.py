"""What the tests of a store's files share: a cache of their own, and a store old enough for what is kept beside it."""

import pytest

from study.store import marks
from study.store.store import Store


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def settled_store(tmp_path, cache, monkeypatch):
    """An empty store whose files count as old however new they are."""
    monkeypatch.setattr(marks, "SETTLED_NS", -1)
    store = Store(tmp_path / "made")
    store.cells.mkdir(parents=True)
    return store
