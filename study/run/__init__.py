"""Run: from the cells of a study to stored results: data, training, jobs, their execution and their progress.

The wing is itself the function that runs a study, ``from study import run`` and then ``run(study)``, since one name
cannot stand for both; :func:`study.run.session.run` documents it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Wing(ModuleType):
    """A package that can be called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from study.run.session import run  # noqa: PLC0415  (reading results imports this package, and no training)

        return run(*args, **options)


sys.modules[__name__].__class__ = _Wing
