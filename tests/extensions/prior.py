"""The prior that README adds."""

import re
from pathlib import Path

from ._extension import Addition, Extension

README = Path(__file__).parents[2] / "README.md"
(CODE,) = re.findall(
    r"<!-- prior:start -->\n```python\n(.*?)```\n<!-- prior:end -->", README.read_text("utf-8"), re.DOTALL
)

SOUND = Addition("laplace", "models/priors/laplace.py", CODE)
EXTENSION = Extension(
    laws=("tests/models/test_priors.py", "tests/models/test_vae.py", "tests/models/test_inference.py"),
    sound=SOUND,
    faulty={"its scale is not learned": SOUND.changed(("self.log_scale.exp()", "self.log_scale.detach().exp()"))},
)
