r"""Sources of samples, compared on equal terms: the same real images, and one way of decoding.

A file of this folder declares one source under its own name; a new file is all that a new source takes. A density that
was fitted to codes is a source too, under the density's name.

Four rules make the terms equal. Images are likelihood means E[x|z] and not draws of p(x|z): pixel noise given z is
independent, blurs the features of every source alike, and grey images have none of it. Real images stand on the same
scale, that of E[x]: grey where binarisation is drawn (E b = x), cut where it cuts. Held-out images are split: some, at
most half, are encoded or serve as the floor, and all the others are the reference for every source, or a reconstruction
would be compared with its own original and beat the floor. And rows are independent: a held-out image gives at most one
draw to a source, and those that start from held-out images start from the same ones. Sources that need none give as
many images as are asked for, however few are held out; the aggregate of the training images is drawn from each of them
equally often, up to one draw, which errs less than independent draws of the mixture would.
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
