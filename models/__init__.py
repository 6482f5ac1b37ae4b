"""Models: Pyro model/guide pairs, and the families of parts that they are made of.

The names that users meet first are here, ``from models import VAE, Prior, Context``; ``__init__.pyi`` lists them. Each
is imported when it is asked for, so that options and ranges can be read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
