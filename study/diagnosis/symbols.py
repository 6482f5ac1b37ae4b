"""Symbols: what the letters in the lines of a diagnosis stand for, said before the first of them."""

SYMBOLS = (
    "p is the prior; q_N is the aggregate, the equal mixture of the distributions q(z|x) that the encoder gives the N "
    "observations x; q_∞ is that of all observations that there could be"
)
