"""One page of what was labelled, on which a person throws cases out."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from PIL import Image
from scipy import ndimage

from ..engine.session.session import Session

_SIDE = 240  # pixels of the longer one
_DOUBTFUL = (255, 255, 255)
# Those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people who see fewer colours tell apart, too.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; }
body { color: #222; background: #fff; }
#cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 1em; }
label { display: block; overflow-wrap: anywhere; } img { display: block; } :checked ~ img { opacity: .25; }
i { display: inline-block; width: 1em; height: 1em; border: 1px solid #888; }
"""
_SCRIPT = """
document.getElementById("save").onclick = () => {
  const names = [...document.querySelectorAll("input:checked")].map(box => box.value + "\\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(names, {type: "text/plain"}));
  link.download = "discarded.txt";
  link.click();
};
"""


def draw(session: Session, labels: np.ndarray, count: int) -> bytes:
    """PNG of the slice with most of the labels, each outlined; what is doubtful is outlined in white.

    Args:
        labels: (K, J, I) as of `labelling.label_map`, of ``count`` prompts.
    """
    planes = session.stack.arrange(labels)
    index = int(np.count_nonzero((planes > 0) & (planes <= count), axis=(1, 2)).argmax())
    grey, plane = session.window.to_uint8(session.stack.array[index]), planes[index]
    height, width = grey.shape[0] * session.stack.spacing[1], grey.shape[1] * session.stack.spacing[2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")).copy()
    plane = np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.NEAREST))
    for number in (*range(1, count + 1), count + 1):
        mask = plane == number
        colour = _DOUBTFUL if number > count else colour_of(number)
        image[mask & ~ndimage.binary_erosion(mask)] = colour
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def colour_of(number: int) -> tuple[int, int, int]:
    """Red, green, blue of the n-th label, from 1."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


def page(title: str, labels: list[str], pictures: Mapping[str, bytes], discarded: set[str], left_out: list[str]) -> str:
    """The page as text, whole in itself.

    Args:
        pictures: PNG by case.
        discarded: cases that are already thrown out.
        left_out: lines about studies that are no cases.
    """
    colours = [(name, colour_of(number)) for number, name in enumerate(labels, 1)] + [("doubtful", _DOUBTFUL)]
    legend = " ".join(f'<i style="background: rgb{colour}"></i> {escape(name)}' for name, colour in colours)
    cases = "".join(
        f'<label><input type="checkbox" value="{escape(name)}"{" checked" if name in discarded else ""}> {escape(name)}'
        f'<img alt="" src="data:image/png;base64,{base64.b64encode(picture).decode("ascii")}"></label>'
        for name, picture in pictures.items()
    )
    others = "".join(f"<li>{escape(line)}</li>" for line in left_out)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p>{legend}</p>"
        "<p>Tick what is wrong, save the list, and put it beside dataset.json: training leaves these out."
        ' <button id="save">Save discarded.txt</button></p>'
        f'<div id="cases">{cases}</div><h2>Left out</h2><ul>{others or "<li>nothing</li>"}</ul>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    )
