r"""Codes of a model that was trained elsewhere: means μₙ and standard deviations σₙ of N observations, from arrays.

``loc`` comes with one of ``scale`` (σ), ``log_variance`` (log σ²) and ``variance`` (σ²), by name and never by guess;
the same names after ``held_out_`` are codes of images that the model was not trained on.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.randomness import stream
from study.diagnosis.arrays import Arrays, read_arrays
from study.diagnosis.parts import LARGEST_LOC, LARGEST_SCALE, SMALLEST_SCALE
from study.errors import DataError

SCALES: dict[str, Callable[[Any], Any]] = {
    "scale": lambda values: values,
    "log_variance": lambda values: np.exp(values / 2),
    "variance": np.sqrt,
}
"""Names of what σ is had from, and how."""

HELD_OUT = "held_out_"
UNUSED = {"labels", "held_out_labels"}
"""Names of what is often kept beside codes, and not read."""

REFUSED = {"weights", "sample_weights", "sample_weight", "held_out_weights"}

LEAST_CODES = 50
MOST_HELD_OUT = 10_000
"""Codes that are held out at most: what is scored on them costs time in proportion to them times N."""

BLOCK = 2**22
"""Numbers that are looked at together."""


@dataclass(frozen=True, eq=False)
class CodeArrays:
    """Codes of some observations, which may lie in a file and be read as they are asked for.

    loc: means, ``(N, *latent_shape)``.
    spread: what ``name`` says, of the same shape.
    name: ``scale``, ``log_variance`` or ``variance``.
    rows: which observations these are, int64; None for all of them in order.
    """

    loc: npt.NDArray[Any]
    spread: npt.NDArray[Any]
    name: str
    rows: npt.NDArray[np.int64] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.loc) if self.rows is None else len(self.rows)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return self.loc.shape[1:]

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the observations ``index``, int64 ``(n,)``, in single precision."""
        rows = index.cpu().numpy() if self.rows is None else self.rows[index.cpu().numpy()]
        loc, spread = (_tensor(part[rows]) for part in (self.loc, self.spread))
        self._release()
        return loc, _scale(spread, self.name)

    def chosen(self, rows: npt.NDArray[np.int64]) -> CodeArrays:
        """Those observations alone."""
        return CodeArrays(self.loc, self.spread, self.name, rows if self.rows is None else self.rows[rows])

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all codes, twelve hexadecimal digits."""
        content = sha256(f"{self.name} {self.loc.shape} {self.loc.dtype}".encode())
        for block in self._blocks():
            for part in (self.loc, self.spread):
                content.update(np.ascontiguousarray(part[block]))
        return content.hexdigest()[:12]

    def _blocks(self) -> Iterator[slice]:
        step = max(1, BLOCK // max(self.loc[:1].size, 1))
        for start in range(0, len(self.loc), step):
            yield slice(start, start + step)
            self._release()

    def _release(self) -> None:
        """Gives back the memory of what was read of a file that is mapped; it stays in the system's cache."""
        for part in (self.loc, self.spread):
            if isinstance(part.base, mmap.mmap):
                part.base.madvise(mmap.MADV_DONTNEED)

    def check(self, called: str) -> None:
        """Raises DataError, in one sentence, where these cannot be codes.

        Args:
            called: what a message calls them.
        """
        if self.loc.ndim < 2 or not self.loc.size:
            raise DataError(f"{called} loc must have the shape (N, *latent_shape); got {self.loc.shape}")
        if self.spread.shape != self.loc.shape:
            raise DataError(
                f"{called} loc and {self.name} must have one shape; got {self.loc.shape} and {self.spread.shape}"
            )
        for name, part in (("loc", self.loc), (self.name, self.spread)):
            if part.dtype.kind != "f":
                raise DataError(f"{called} {name} must hold floating-point numbers; got {part.dtype}: write float32")
        if len(self) < LEAST_CODES:
            raise DataError(f"a diagnosis needs at least {LEAST_CODES} {called or 'training'} codes; got {len(self)}")
        self._check_finite(called)
        self._check_spread(called)
        most = max(float(np.abs(self.loc[block]).max()) for block in self._blocks())
        if most > LARGEST_LOC:
            raise DataError(
                f"{called} loc has numbers as large as {most:.3g}, beyond {LARGEST_LOC:g}: these are no codes of a "
                "trained encoder; look at how they were written"
            )
        if all((self.loc[block] == self.loc[:1]).all() for block in self._blocks()):
            raise DataError(
                f"all {len(self):,} {called} codes have the same mean: the encoder ignores its input, or one code was "
                "written N times"
            )

    def _check_finite(self, called: str) -> None:
        for name, part in (("loc", self.loc), (self.name, self.spread)):
            bad = np.concatenate(
                [~np.isfinite(part[block]).reshape(len(part[block]), -1).all(1) for block in self._blocks()]
            )
            if bad.any():
                first = ", ".join(map(str, np.flatnonzero(bad)[:5]))
                more = ", …" if bad.sum() > 5 else ""
                raise DataError(
                    f"{called} {name} has numbers that are not finite in {int(bad.sum()):,} of {len(bad):,} rows "
                    f"({first}{more}); leave these observations out, or mend their codes"
                )

    def _check_spread(self, called: str) -> None:
        low = min(float(self.spread[block].min()) for block in self._blocks())
        high = max(float(self.spread[block].max()) for block in self._blocks())
        if self.name != "log_variance" and low < 0:
            raise DataError(
                f"{called} {self.name} has negative numbers, from {low:.3g} to {high:.3g}: they look like "
                "log-variances; if they are, name the array log_variance"
            )
        least, most = (float(SCALES[self.name](np.float64(end))) for end in (low, high))
        if least < SMALLEST_SCALE:
            raise DataError(
                f"{called} {self.name} has standard deviations of {least:.3g}, below {SMALLEST_SCALE:g}: these look "
                "like plain codes without noise, which have no density; give the posterior's own, or that of the noise "
                "that was added in training"
            )
        if most > LARGEST_SCALE:
            hint = (
                "they look like variances or log-variances" if self.name == "scale" else "this looks like a wrong name"
            )
            raise DataError(
                f"{called} {self.name} gives standard deviations up to {most:.3g}, above {LARGEST_SCALE:g}: {hint}; "
                f"name the array {' or '.join(name for name in SCALES if name != self.name)} if it is that"
            )


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    """A tensor of its own memory, in single precision, that of the prior's draws, which meet the codes."""
    with np.errstate(over="ignore"):  # numbers beyond it are infinite, and refused as such
        return torch.from_numpy(values.astype(np.float32))


def _scale(spread: Tensor, name: str) -> Tensor:
    if name == "scale":
        return spread
    return (spread / 2).exp() if name == "log_variance" else spread.sqrt()


def from_file(path: Path) -> tuple[CodeArrays, CodeArrays, str]:
    """Codes and held-out codes of a file, and how these were had; see :func:`from_arrays`."""
    return from_arrays(read_arrays(path), path.name)


def from_arrays(arrays: Arrays, called: str = "the arrays") -> tuple[CodeArrays, CodeArrays, str]:
    """Codes, held-out codes, checked, and a sentence on where the second come from.

    Args:
        arrays: by name, see the module.
        called: what a message calls them.

    Raises:
        DataError: where names are missing or unknown, or numbers cannot be codes.
    """
    if weights := REFUSED & arrays.keys():
        raise DataError(
            f"{called} holds {min(weights)}: weighted observations have no exact aggregate here; "
            "resample them by their weights and write these"
        )
    known = {f"{head}{name}" for head in ("", HELD_OUT) for name in ("loc", *SCALES)} | UNUSED
    if unknown := arrays.keys() - known:
        raise DataError(f"{called} holds {min(unknown)}, which is none of {', '.join(sorted(known))}; leave it out")
    codes = _part(arrays, "", called)
    codes.check("")
    unread = "; labels are not read" if UNUSED & arrays.keys() else ""
    if f"{HELD_OUT}loc" not in arrays:
        return *_split(codes), _said(len(codes)) + unread
    held_out = _part(arrays, HELD_OUT, called)
    held_out.check("held-out")
    if held_out.latent_shape != codes.latent_shape:
        raise DataError(
            f"codes have latents {codes.latent_shape} and held-out codes {held_out.latent_shape}; "
            "give those of one model"
        )
    given = len(held_out)
    if given > MOST_HELD_OUT:
        held_out = held_out.chosen(_order(given)[:MOST_HELD_OUT])
    of = "all" if given == len(held_out) else f"{len(held_out):,} by a seeded choice"
    return codes, held_out, f"held-out codes were given: {given:,}, of which {of} are used{unread}"


def _part(arrays: Arrays, head: str, called: str) -> CodeArrays:
    names = [name for name in SCALES if f"{head}{name}" in arrays]
    if f"{head}loc" not in arrays or len(names) != 1:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(
            f"{called} must hold {head}loc and one of {', '.join(f'{head}{name}' for name in SCALES)}; it holds {found}"
        )
    return CodeArrays(arrays[f"{head}loc"], arrays[f"{head}{names[0]}"], names[0])


def _order(num: int) -> npt.NDArray[np.int64]:
    return torch.randperm(num, generator=stream(0, "held-out codes")).numpy()


def num_held_out(num: int) -> int:
    """How many of ``num`` observations are held out where none were given: a fifth, up to MOST_HELD_OUT."""
    return min(num // 5, MOST_HELD_OUT)


def _split(codes: CodeArrays) -> tuple[CodeArrays, CodeArrays]:
    order = _order(len(codes))
    held = num_held_out(len(codes))
    return codes.chosen(np.sort(order[held:])), codes.chosen(np.sort(order[:held]))


def _said(num: int) -> str:
    return (
        f"no held-out codes were given: {num_held_out(num):,} of {num:,} were set aside by a seeded split, and "
        "unless the model never saw them they flatter what is certified"
    )
