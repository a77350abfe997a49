"""Damaged segmentation files (.seg.nrrd): the voxels as any NRRD, and what is said of the segments beside them."""

from __future__ import annotations

import gzip
from random import Random

import numpy as np

from .images import NUMBERS, Case, damaged_bytes

_TAGS = {
    "found": ["true", "1", '"yes"', "null"],
    "slices_found": ["2", "-1", "1.5", '"x"', "[]"],
    "slices_searched": ["4", "null"],
    "slices_kept": ["0", "1e999"],
    "searched": ["[0, 3]", "[0]", "[]", "{}", '"ab"', "0", "null"],
    "edited": ["[1]", '"12"', "[[]]", "1", "null"],
    "models": ['[{"role": "clip", "name": "a", "checksum": "b"}]', "[{}]", '[{"role": [], "name": 1, "checksum": {}}]'],
    "settings": ['{"axis": "axial"}', "[]", '"axis"', "null", "[" * 100000],
    "version": ['"0.1.0"', "1", "{}"],
    "created": ['"2026-01-01T00:00:00+00:00"', "null"],
    "prompt": [
        '{"version": 1, "prompts": [{"name": "liver", "wordings": ["liver"]}]}',
        *(
            '{"version": 1, "prompts": []}',
            '"liver"',
            '{"version": 1, "prompts": [{"name": "\\ud800", "wordings": [1]}]}',
        ),
    ],
}
_VALUES = {
    "Extent": ["0 5 0 4 0 3", "1 0 1 0 1 0", "0 1000000 0 1000000 0 3", "-5 5 -5 5 -5 5", "0 5", "nan 1 0 1 0 1"],
    "Layer": ["0", "1", "2", "1000000"],
    "Color": ["1 0 0", "nan nan nan", "x", ""],
    "ID": ["", "A", "a;b", "x" * 5000],
    "Name": ["", "\x07", "\udcff", "liver", "x" * 5000],
    "Tags": ["", "|", "a:b|c", ":|:", "a:b" * 3000],
}
_WHOLE = {
    "ContainedRepresentationNames": [
        "Binary labelmap|",
        "Closed surface|",
        "",
        "x|y|",
        "Binary labelmap|Closed surface|",
    ],
    "MasterRepresentation": ["Binary labelmap", "Closed surface", "Fractional labelmap", "Planar contour", "", "x"],
    "ReferenceImageExtentOffset": ["0 0 0", "-1000000000 0 0", "4000000000 0 0", "1", "x"],
    "ConversionParameters": ["", "&", "a|b|c&", "Reference image geometry|0;0;0;0|x&", "Oversampling factor|nan|&"],
}


def segmentation(random: Random) -> Case:
    """A segmentation of two segments in one or two layers."""
    layers = random.choice((1, 2))
    label = np.zeros((4, 5, 6, layers), np.uint8)
    label[1:3, 1:4, 1:5, 0], label[2, 2, :, layers - 1] = 1, 2
    fields = {
        "type": "unsigned char",
        "dimension": str(2 + min(2, layers)),
        "space": "left-posterior-superior",
        "sizes": "6 5 4" if layers == 1 else "2 6 5 4",
        "space directions": ("" if layers == 1 else "none ") + "(1,0,0) (0,1,0) (0,0,1)",
        "kinds": ("" if layers == 1 else "list ") + "domain domain domain",
        "encoding": "gzip",
        "space origin": "(0,0,0)",
    }
    if random.random() < 0.3:
        name = random.choice(list(fields))
        words = fields[name].split(" ")
        words[random.randrange(len(words))] = random.choice(NUMBERS)
        fields[name] = " ".join(words)
    more: dict[str, str] = {}
    for number in range(2):
        tags = {name: random.choice(values) if random.random() < 0.1 else values[0] for name, values in _TAGS.items()}
        more |= {
            f"Segment{number}_ID": f"Segment_{number}",
            f"Segment{number}_Name": f"segment {number}",
            f"Segment{number}_Color": "1 0.5 0",
            f"Segment{number}_Extent": "1 4 1 3 1 2" if number == 0 else "0 5 2 2 2 2",
            f"Segment{number}_LabelValue": str(number + 1),
            f"Segment{number}_Layer": str(number * (layers - 1)),
            f"Segment{number}_Tags": "".join(f"MedCLIPSAM.{name}:{value}|" for name, value in tags.items()),
        }
    more |= {f"Segmentation_{name}": values[0] for name, values in _WHOLE.items()}
    for name in random.sample(list(more), random.choice((0, 1, 1, 2, 4))):
        known = (_VALUES | _WHOLE).get(name.partition("_")[2], NUMBERS)
        more[name] = random.choice((*known, *NUMBERS))
        if random.random() < 0.2:
            del more[name]
    lines = [*(f"{name}: {value}\n" for name, value in fields.items()), *(f"{k}:={v}\n" for k, v in more.items())]
    header = f"NRRD0004\n{''.join(lines)}\n".encode("utf-8", "surrogateescape")
    content = header + gzip.compress(label.tobytes(), mtime=0)
    if random.random() < 0.2:
        content = damaged_bytes(random, content)
    return Case({"a.seg.nrrd": content}, "a.seg.nrrd")
