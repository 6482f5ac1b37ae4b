r"""Sources of samples, compared on equal terms: each gives the same number of images, decoded the same way.

A file of this folder declares one source under its own name; a new file is all that a new source takes. A density that
was fitted to codes is a source too, under the density's name.

Four rules make the terms equal. Images are likelihood means E[x|z] and not draws of p(x|z): pixel noise given z is
independent, blurs the features of every source alike, and grey images have none of it. Real images stand on the same
scale, that of E[x]: grey where binarisation is drawn (E b = x), cut where it cuts. Held-out images are split: one half
is the reference for every source, and only the other is encoded or serves as the floor, or a reconstruction would be
compared with its own original and beat the floor. And an image gives at most one draw to a source, so that rows are
independent; sources that start from held-out images start from the same ones.
"""

from study.measurement.sources._base import Source, Start, source
from study.measurement.sources._registry import LatentSampler, of_density, registered, sample_sources
from study.measurement.sources._starts import local_sample, reference_split

__all__ = [
    "LatentSampler",
    "Source",
    "Start",
    "local_sample",
    "of_density",
    "reference_split",
    "registered",
    "sample_sources",
    "source",
]
