"""Picture: an image as the page holds it, whole: a data URI with its size, its words and its caption."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any, Self

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from analysis.plots import GRID, INK, MUTED, PAPER

PIXELS_PER_INCH = 96
"""Resolution of the page, by definition of CSS."""
RASTER_DPI = 150
"""Resolution of layers that have thousands of points."""

_SAVED: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "latent-study"}
"""Letters stay letters, in the reader's own fonts; element names do not change from run to run."""

_THEME = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"}
_STYLE = """<style>
:root{--ink:#1f2430;--muted:#6b7280;--grid:#e3e5ea;--paper:#fff;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaee;--muted:#9aa1ad;--grid:#333944;--paper:#171a20}}
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif!important}
*{stroke-linejoin:round;stroke-linecap:butt}
</style>"""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image on the page.

    uri: the image itself, as a ``data:`` URI.
    width, height: in CSS pixels.
    alt: what it shows, in words.
    title, caption: what the page writes above and below it.
    """

    uri: str
    width: int
    height: int
    alt: str
    title: str = ""
    caption: str = ""

    @classmethod
    def of_figure(cls, figure: Figure, alt: str, title: str = "", caption: str = "") -> Self:
        """``figure`` as SVG whose text and frame follow the reader's choice of a light or a dark page.

        ``alt``, ``title`` and ``caption`` are as in the class.
        """
        width, height = (round(float(size) * PIXELS_PER_INCH) for size in figure.get_size_inches())
        return cls(_uri("image/svg+xml", themed(svg(figure)).encode()), width, height, alt, title, caption)

    @classmethod
    def of_pixels(cls, pixels: np.ndarray, alt: str, scale: int = 1) -> Self:
        """Bytes ``pixels`` ``(height, width, 4)``, red to blue and opacity, as PNG, shown ``scale`` times as large;
        ``alt`` says in words what they show."""
        buffer = io.BytesIO()
        is_grey = (pixels[..., :3] == pixels[..., :1]).all()
        image = Image.fromarray(np.ascontiguousarray(pixels[..., [0, 3]]), "LA") if is_grey else Image.fromarray(pixels)
        image.save(buffer, "PNG")
        height, width = pixels.shape[:2]
        return cls(_uri("image/png", buffer.getvalue()), width * scale, height * scale, alt)


def svg(figure: Figure) -> str:
    """The figure as SVG text."""
    buffer = io.StringIO()
    if layout := figure.get_layout_engine():
        # Saving a figure whose layout is still to be made draws it twice.
        layout.execute(figure)
        figure.set_layout_engine(None)
    with matplotlib.rc_context(_SAVED):
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def themed(text: str) -> str:
    """SVG text with the colours of ink, grid and paper as variables, which a dark page sets otherwise."""
    text = text[text.index("<svg") :]
    for colour, name in _THEME.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    return re.sub(r"<svg[^>]*>", lambda opening: opening.group() + _STYLE, text, count=1)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
