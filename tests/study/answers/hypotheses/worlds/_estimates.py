"""Estimates of a planted world, by address."""


def realism(**distances):
    return {f"realism/{source}/squared_frechet": value for source, value in distances.items()}


def aggregate(row="train", **values):
    return {f"aggregate/{row}/{name}": value for name, value in values.items()}
