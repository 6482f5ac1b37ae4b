"""Models: Pyro model/guide pairs, and the families of parts that they are made of."""
