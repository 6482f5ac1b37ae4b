"""Model: an encoder and a decoder that somebody else trained, as callables, held still while they are looked at."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis.randomness import seeded, stream
from study.diagnosis.parts import LINKS, Decode, Encode, Link, posterior_of
from study.errors import DataError

PROBES = 64
"""Observations on which an encoder is tried before all are encoded."""

ALIKE = 1e-3
"""Two passes of one encoder may differ by it, in ratio: kernels of an accelerator round in an order of their own."""


def modules_of(*callables: Any) -> list[nn.Module]:
    """The modules that functions use: themselves, what they are methods of, and what they refer to by name."""
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()
    waiting = list(callables)
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, nn.Module):
            found[id(item)] = item
        waiting += _referred(item)
    return list(found.values())


def _referred(item: Any) -> list[Any]:
    """Objects that a callable refers to; of a function's globals modules alone, since all are the whole program."""
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if inspect.ismethod(item):
        return [item.__self__]
    if not inspect.isfunction(item):
        return []
    variables = inspect.getclosurevars(item)
    return [
        *variables.nonlocals.values(),
        *(part for part in variables.globals.values() if isinstance(part, nn.Module)),
    ]


def device_of(modules: list[nn.Module]) -> torch.device:
    """Device of the first parameter; the CPU where there is none."""
    return next((parameter.device for module in modules for parameter in module.parameters()), torch.device("cpu"))


def in_own_precision(function: Callable[[Tensor], Any], modules: list[nn.Module]) -> Callable[[Tensor], Any]:
    """The function, fed in the precision of its model and giving tensors in single precision, as measurements are made.

    function: takes one tensor.
    modules: those that it uses.
    """
    dtype = next((p.dtype for module in modules for p in module.parameters() if p.is_floating_point()), torch.float32)
    if dtype == torch.float32:
        return function

    def fed(batch: Tensor) -> Any:
        given = function(batch.to(dtype))
        return given.float() if isinstance(given, Tensor) else given

    return fed


@contextmanager
def held_still(modules: list[nn.Module]) -> Iterator[None]:
    """Evaluation mode, no gradients, random numbers of our own; modes and global random state come back afterwards."""
    modes = {id(part): (part, part.training) for module in modules for part in module.modules()}
    try:
        for module in modules:
            module.eval()
        # Of the kernels of attention, the composite one alone has the forward derivatives that gains are taken by.
        attention = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), attention, seeded(stream(0, "diagnosis"), device_of(modules)):
            yield
    finally:
        for part, training in modes.values():
            part.training = training


def check_encoder(encode: Encode, images: Tensor) -> tuple[int, ...]:
    """The latent shape, once two passes of ``encode`` over the first of ``images`` have given the same codes.

    Raises:
        DataError: where they differ, or are no codes.
    """
    few = images[:PROBES]
    first, second = (posterior_of(encode(few), len(few)) for _ in range(2))
    difference = max(
        (float(((a - b).abs() / (a.abs() + 1)).max()) for a, b in zip(_numbers(first), _numbers(second), strict=True)),
        default=0.0,
    )
    if difference > ALIKE:
        raise DataError(
            f"two passes of the same images gave different codes (by up to {difference:.2g}, relative): encode draws "
            "noise or its model is in training mode; call model.eval(), and let encode return mean and scale"
        )
    return tuple(first.event_shape)


def _numbers(posterior: Any) -> tuple[Tensor, ...]:
    if isinstance(posterior, Independent) and isinstance(posterior.base_dist, Normal):
        return posterior.base_dist.loc, posterior.base_dist.scale
    try:
        return (posterior.mean,)
    except NotImplementedError:
        return ()


def check_decoder(decode: Decode, z: Tensor, images: Tensor, link: Link) -> bool:
    """Whether the decoder gives a density of images, once its images are like those given.

    Args:
        decode: see :data:`~study.diagnosis.parts.Decode`.
        z: codes of the images ``(n, *latent_shape)``.
        images: their originals ``(n, C, H, W)``.
        link: what makes pixels of numbers.

    Raises:
        DataError: where they are not.
    """
    given = decode(z)
    is_density = isinstance(given, Distribution)
    pictures = given.mean if is_density else given
    if not isinstance(pictures, Tensor):
        raise DataError(f"decode must give images or a distribution of them; got {type(given).__name__}")
    if pictures.shape != images.shape:
        raise DataError(
            f"decode gave images {tuple(pictures.shape[1:])} where the given ones are {tuple(images.shape[1:])}; "
            "give images as the model sees them, or let decode undo what it does to them"
        )
    values = pictures if is_density else LINKS[link](pictures)
    low, high = (float(end) for end in torch.aminmax(values))
    if not bool(torch.isfinite(values).all()):
        raise DataError("decode gave pixels that are not finite for codes of the given images; look at its weights")
    if low < -0.5 or high > 1.5:
        if high > 2 and low >= 0:
            like = "to [0, 255]; divide by 255"
        elif low >= -1.5 and high <= 1.5:
            like = "from [−1, 1]; say link='tanh'"
        else:
            like = "logits; say link='sigmoid'"
        raise DataError(f"decode gave pixels from {low:.3g} to {high:.3g} where [0, 1] is expected: they look {like}")
    return is_density


def check_images(images: Tensor, called: str) -> None:
    """Raises DataError unless ``images``, in a message ``called`` so, are ``(N, C, H, W)``, floating, in [0, 1]."""
    if images.ndim != 4:
        raise DataError(
            f"{called} must have the shape (N, C, H, W) where there is a decoder; got {tuple(images.shape)}"
        )
    low, high = (float(end) for end in torch.aminmax(images))
    if not images.is_floating_point() or high > 2:
        raise DataError(
            f"{called} lie in [{low:g}, {high:g}], {images.dtype}, where [0, 1] is expected: divide by 255, and let "
            "encode scale them as the model was trained"
        )
    if low < 0 or high > 1:
        raise DataError(
            f"{called} lie in [{low:.3g}, {high:.3g}] where [0, 1] is expected: scale them, and let encode and decode "
            "scale back"
        )
