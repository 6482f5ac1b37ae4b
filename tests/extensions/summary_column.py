"""A column of the printed table: one line in a dictionary."""

from pathlib import Path

from ._extension import Addition, Extension

PATH = "analysis/summaries.py"
FIRST = "OVERVIEW = {\n"
SOURCE = (Path(__file__).parents[2] / PATH).read_text("utf-8")
assert FIRST in SOURCE

SOUND = Addition(
    "aggregate/train/norm_p99",
    PATH,
    SOURCE.replace(FIRST, FIRST + '    "‖z‖ 99 %": "aggregate/train/norm_p99",\n'),
)
EXTENSION = Extension(
    laws=("tests/analysis/test_address.py",),
    sound=SOUND,
    faulty={"of a group that no tree has": SOUND.changed(("aggregate/train/norm_p99", "aggregates/train/norm_p99"))},
)
