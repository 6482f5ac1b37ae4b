"""Data: images as tensors in [0, 1], from a named data set, and their binarisation."""
