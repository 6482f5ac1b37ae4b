"""Realism of samples: how images that a model draws differ from real ones, in the feature space of a classifier.

Every number is a property of features, n and (where it applies) k, so sources compare at equal n and against one
reference; the same number for real images that are not in the reference is the floor.
"""
