"""Diagnosis of a VAE that was trained elsewhere: from its codes, or from its encoder and decoder, to what is wrong with
its prior and a density to sample in its place.

    answer = diagnose(encode, decode, images=images)
    print(answer)
"""

from study.diagnosis.answer import Answer
from study.diagnosis.diagnose import diagnose, diagnose_codes

__all__ = ["Answer", "diagnose", "diagnose_codes"]
