r"""Classifier: a small convolutional network per data set, in whose feature space samples are judged.

Two convolutions, a layer of 64 features (the feature space) and class logits, trained once by Adam on the cross-entropy
of the training labels, on the CPU and from a seed of its own, so that its weights do not depend on the device that
samples.
It is applied in single precision on the CPU, where that takes a fifth of the time and moves a feature by 10⁻⁶ of its
size, and in double precision elsewhere, where single precision may stand for TF32. Features are float64, so that what
is made of them is summed in it.

Trained weights are kept under ``usable_cache()/classifiers`` by a hash of the images, the labels and ``VERSION``,
beside a record of their own SHA-256; what does not match its record is trained anew. A classifier is as good as its
accuracy on held-out images, which it carries.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import filelock
import torch
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.estimate import Estimate
from analysis.randomness import seeded, stream
from study.design.settings import Settings
from study.errors import EnvironmentFault
from study.files import replacing
from study.measurement.images import ImageData
from study.measurement.stored_images import Images
from study.paths import usable_cache

VERSION = 2
"""To be raised with any change below that changes the trained weights."""

NUM_FEATURES = 64
BATCH_SIZE = 128
LEARNING_RATE = 3e-3
MIN_EPOCHS, MIN_IMAGES_SEEN = 3, 50_000
CHUNK = 1_000


class Unclassifiable(ValueError):
    """A data set without classes to tell apart; the message is the reason for which its estimates are refused."""


class FeatureSpace(Protocol):
    """Space in which images are compared: a classifier's features, or others."""

    def features(self, images: Images) -> Tensor:
        """Features ``(M, F)``, float64, of ``images`` ``(M, C, H, W)``."""


class Network(nn.Module):
    """Images ``(B, C, H, W)`` of any size to features and class logits; larger images take longer strides.

    Args:
        image_shape: (C, H, W), in pixels.
        num_classes: number of logits.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, *sides = image_shape
        stride = max(min(sides) // 14, 1)
        area = math.prod(math.ceil(math.ceil(side / stride) / 2) for side in sides)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=stride, padding=2),
            nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(32 * area, NUM_FEATURES),
            nn.GELU(),
        )
        self.head = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class logits ``(B, classes)``."""
        return self.head(self.body(images))


class _Record(Settings):
    """Description of a weights file: its bytes, and how many of the held-out images it classifies rightly."""

    weights: str
    num_correct: int
    num_held_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A trained classifier.

    network: in evaluation mode, without gradients; its head is float64, and so is its body but on the CPU.
    accuracy: share of the held-out images that it classifies rightly.
    """

    network: Network
    accuracy: Estimate

    @classmethod
    def of(cls, data: ImageData, seed: int = 0) -> Self:
        """The classifier of ``data`` and of this ``seed``, from the cache or trained now.

        Give images on the scale of what will be judged: grey ones for likelihood means of binarised images.

        Raises:
            Unclassifiable: if there are fewer than two classes.
            EnvironmentFault: if the cache fills up.
        """
        num_classes = len(data.labels.unique())
        if num_classes < 2:
            raise Unclassifiable(
                f"a classifier needs images of two classes; {data.name} has {num_classes}: sort them into class folders"
            )
        data = data.to("cpu")
        network = _network(data, seed)
        path = usable_cache() / "classifiers" / f"{_key(data, seed)}.safetensors"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(path.with_suffix(".lock")):
                record = _restore(network, path) or _store(network, data, seed, path)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write {path}: {error.strerror or error}; set LATENT_STUDY_CACHE to another folder"
            ) from error
        correct = torch.arange(record.num_held_out) < record.num_correct
        network.head.double()
        return cls(network.eval().requires_grad_(False), Estimate.mean(correct))

    def to(self, device: torch.device | str) -> Self:
        """The same classifier; its network moves to ``device``."""
        network = self.network.to(device)
        network.body.to(torch.float32 if torch.device(device).type == "cpu" else torch.float64)
        return replace(self, network=network)

    @torch.no_grad()
    def features(self, images: Images) -> Tensor:
        """Features ``(M, 64)``, float64, of ``images`` ``(M, C, H, W)``."""
        body = self.network.body
        kind = next(body.parameters()).dtype
        return torch.cat([body(chunk.to(kind)).double() for chunk in images.split(CHUNK)])

    @torch.no_grad()
    def class_probabilities(self, features: Tensor) -> Tensor:
        """Class probabilities ``(M, classes)``, float64, of images with these ``features`` ``(M, 64)``."""
        return self.network.head(features).softmax(1)

    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities ``(M, classes)``, float64, of ``images`` ``(M, C, H, W)``."""
        return self.class_probabilities(self.features(images))


def _network(data: ImageData, seed: int) -> Network:
    with seeded(stream(seed, "classifier", "initial weights")):
        return Network(data.image_shape, len(data.class_names))


def _key(data: ImageData, seed: int) -> str:
    """Thirty-two hexadecimal digits of a SHA-256 of the tensors themselves (of size, limit and binarisation too) and of
    the ``seed``."""
    content = hashlib.sha256(f"{VERSION} {len(data.class_names)}{f' {seed}' * (seed > 0)}".encode())
    for part in (data.images, data.labels, data.held_out_images, data.held_out_labels):
        content.update(str(list(part.shape)).encode())
        for chunk in part.split(CHUNK):
            content.update(chunk.contiguous().numpy())
    return content.hexdigest()[:32]


def _restore(network: Network, path: Path) -> _Record | None:
    """Loads stored weights that are what their record says, and returns the record."""
    try:
        record = _Record.model_validate_json(path.with_suffix(".json").read_bytes())
        content = path.read_bytes()
    except (FileNotFoundError, ValidationError):
        return None
    if hashlib.sha256(content).hexdigest() != record.weights:
        return None
    network.load_state_dict(load(content))
    return record


def _store(network: Network, data: ImageData, seed: int, path: Path) -> _Record:
    """Trains ``network`` and writes its weights, then their record: a crash between leaves weights that none names."""
    _train(network, data, seed)
    content = save(network.state_dict())
    with torch.no_grad():
        answers = torch.cat([network(chunk).argmax(1) for chunk in data.held_out_images.split(CHUNK)])
    record = _Record(
        weights=hashlib.sha256(content).hexdigest(),
        num_correct=int((answers == data.held_out_labels).sum()),
        num_held_out=len(answers),
    )
    for target, file_bytes in ((path, content), (path.with_suffix(".json"), record.model_dump_json().encode())):
        with replacing(target) as aside:
            aside.write_bytes(file_bytes)
    return record


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums that threads share round by their number: with one, weights do not depend on it, and layers are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(network: Network, data: ImageData, seed: int) -> None:
    num = len(data.images)
    epochs = max(MIN_EPOCHS, math.ceil(MIN_IMAGES_SEEN / num))
    generator = stream(seed, "classifier", "order")
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * math.ceil(num / BATCH_SIZE))
    with torch.enable_grad(), _one_thread():
        for _ in range(epochs):
            for rows in torch.randperm(num, generator=generator).split(BATCH_SIZE):
                optimiser.zero_grad()
                F.cross_entropy(network(data.images[rows]), data.labels[rows]).backward()
                optimiser.step()
                schedule.step()
