"""Estimates of a planted world, by address."""


def realism(**distances):
    names = "squared_frechet", "squared_frechet_plug_in"
    return {f"realism/{source}/{name}": value for source, value in distances.items() for name in names}


def aggregate(row="train", **values):
    return {f"aggregate/{row}/{name}": value for name, value in values.items()}
