"""Seeds: the number at which a named stream of random numbers starts.

A stream is addressed by words and never by a number that another use could share: its seed is a hash (SHA-256) of the
pair (seed, purpose), written so that no two pairs are written alike. Of the hash 32 bits are used, because the Mersenne
Twister behind torch's CPU generator, like NumPy's ``RandomState``, reads no more of its seed: n streams share one
somewhere with a probability of about n²/2³³.
"""

from __future__ import annotations

import hashlib
import json


def integer_seed(seed: int, *purpose: str | int) -> int:
    """The seed in [0, 2³²) of the stream of this name, for libraries that take a number.

    Args:
        seed: number of the repetition, such as the index of a replicate; repetitions are independent.
        purpose: words, and numbers such as an epoch, that say what the randomness is for; at least one. A word differs
            from a number that is written alike, and ("a", "bc") from ("ab", "c").

    Raises:
        ValueError: if no purpose is named.

    >>> integer_seed(0, "order", 12) == integer_seed(0, "order", 12)
    True
    >>> integer_seed(0, "order", 12) == integer_seed(0, "order", 1, 2)
    False
    """
    if not purpose:
        raise ValueError("expected words that name what a stream is for; got none: add one, such as 'order'")
    name = json.dumps([int(seed), *(part if isinstance(part, str) else int(part) for part in purpose)])
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
