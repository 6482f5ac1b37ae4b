"""Adapters: models of other packages as the two functions that a diagnosis takes, one package a file.

    encode, decode = adapted(model)
    answer = diagnose(encode, decode, images=images)

A file of this folder declares one :class:`Adapter`; an installed package adds one by an entry point of the group
``latent_study.adapters`` that names it. Which adapter a model takes is told by the model's class alone, so that no
package is imported for it.
"""

from study.diagnosis.adapters._base import Adapted, Adapter
from study.diagnosis.adapters._registry import adapted, registered

__all__ = ["Adapted", "Adapter", "adapted", "registered"]
