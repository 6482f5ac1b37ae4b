"""Configuration of the documentation: Sphinx with MyST, pages in Markdown, reference and gallery made from the sources.

Sphinx was chosen over MkDocs because the reference needs cross-references into docstrings that are reStructuredText,
and because its gallery extension runs each example and shows what it drew.
"""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import generated
from sphinx.domains.python import PythonDomain

project = "latent-study"
author = "the authors of latent-study"
release = version = installed_version("latent-study")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.rst", "README.md"]
html_theme = "furo"
html_title = "latent-study"
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_param = True

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)_",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "matplotlib_animations": False,
}
suppress_warnings = ["config.cache", "ref.python"]  # a name that several modules have is linked to the first


class RememberingDomain(PythonDomain):
    """Sphinx's own, which looks through all objects for each name in a signature; most names are met many times."""

    def find_obj(self, env, modname, classname, name, type, searchmode=0):
        # Objects are added while pages are read, and looked for afterwards.
        asked = len(self.objects), modname, classname, name, type, searchmode
        known = self.__dict__.setdefault("_known", {})
        if asked not in known:
            known[asked] = super().find_obj(env, modname, classname, name, type, searchmode)
        return known[asked]


def setup(app: object) -> None:
    """Writes the generated pages before any is read, and reads docstrings as Sphinx does."""
    app.add_domain(RememberingDomain, override=True)
    app.connect("builder-inited", lambda _: generated.write(HERE / "reference"))
    app.connect("autodoc-process-docstring", generated.readable, priority=400)  # before napoleon
