"""Study: experiments across the latent dimension, from their design to their answers.

The names that users meet first are here, ``from study import Study, run, diagnose, Store``; ``__init__.pyi`` lists
them. Each is imported when it is asked for, so that results can be read without torch.
"""

from __future__ import annotations

import signal
import sys


def _is_the_command() -> bool:
    """Whether this package was started as ``latent-study`` or ``python -m study``, and is no part of a program."""
    if sys.argv[0] == "-m":  # as it is while Python looks for the module that it was asked to run
        return sys.orig_argv[sys.orig_argv.index("-m") + 1 :][:1] in (["study"], ["study.cli"])
    return sys.argv[0].replace("\\", "/").rpartition("/")[2] in ("latent-study", "latent-study.exe")


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C ends it without a word while it imports, until the command answers; hence before the other imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from importlib.util import find_spec  # noqa: E402
from pathlib import Path  # noqa: E402

import lazy_loader  # noqa: E402

_SITE = Path(__file__).resolve().parents[1]
"""The folder that holds this package, and must hold those that it imports."""


def _check_neighbours() -> None:
    """Raises ImportError where ``models`` or ``analysis`` on the path is somebody else's.

    Both names are common: a program beside a user's own folder ``models`` finds that folder first. The console command
    and ``python -m study`` run no program of a user's, so that they put this package's own folder first instead.
    """
    for name in ("models", "analysis"):
        spec = find_spec(name)
        places = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else []
        if any(place and Path(place).resolve().is_relative_to(_SITE / name) for place in places):
            continue
        if _is_the_command():
            sys.path.insert(0, str(_SITE))
            sys.modules.pop(name, None)
            continue
        here = places[-1] or places[0] if places else "nowhere"
        raise ImportError(
            f"latent-study needs its own package {name!r}, {_SITE / name}, and Python finds {here} first; rename that "
            "one, or run the program from another folder"
        )


_check_neighbours()

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["run"],  # a wing that can be called; the stub shows its function
    submod_attrs={
        "design.cell": ["Cell"],
        "design.study": ["Study"],
        "diagnosis.diagnose": ["diagnose"],
        "errors": ["StudyError"],
        "store.store": ["Store"],
    },
)
