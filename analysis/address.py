"""Address: the name of an estimate, written ``group/row/quantity``.

The group is one of the result tree (``aggregate``, ``realism``, ``densities``), the row is a split, a source of samples
or a fitted density, and the quantity is what is estimated: ``aggregate/train/kl``, ``realism/prior/squared_frechet``.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Place of an estimate in the result tree, see :mod:`analysis.tree`.

    Args:
        group: name of a group of estimates.
        row: split, source of samples or fitted density within the group.
        quantity: name of the estimate.

    Raises:
        ValueError: if a part is empty or contains a slash, so that the text would not give the parts back.

    >>> address = Address.parse("aggregate/train/kl")
    >>> address.quantity
    'kl'
    >>> str(address)
    'aggregate/train/kl'
    >>> Address.parse("train/kl")
    Traceback (most recent call last):
    ValueError: expected group/row/quantity, such as aggregate/train/kl; got 'train/kl': name all three parts
    """

    group: str
    row: str
    quantity: str

    def __post_init__(self) -> None:
        if not all(part and "/" not in part for part in astuple(self)):
            raise ValueError(
                f"expected three names without slashes for group, row and quantity; got {astuple(self)}: rename them"
            )

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that ``text`` spells.

        Raises:
            ValueError: if ``text`` is not three names with slashes between them.
        """
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise ValueError(
                f"expected group/row/quantity, such as aggregate/train/kl; got {text!r}: name all three parts"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return "/".join(astuple(self))
