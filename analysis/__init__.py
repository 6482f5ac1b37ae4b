"""Analysis: tensors, distributions and callables in, estimates with their errors out.

The names that users meet first are here, ``from analysis import Estimate, DiagonalAggregate``; ``__init__.pyi`` lists
them. Each is imported when it is asked for, so that results can be read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
