"""Geometry of posterior bubbles N(μ(x), diag σ²(x)): where they lie, what they cover, how they overlap."""
