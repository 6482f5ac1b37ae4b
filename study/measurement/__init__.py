"""Measurement: what is estimated of one trained replicate."""
