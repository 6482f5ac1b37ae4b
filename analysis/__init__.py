"""Analysis: tensors, distributions and callables in, estimates with their errors out."""
