"""MedCLIP-SAM for 3D Slicer: from a typed prompt to a segment.

`engine` is the chain text -> saliency -> box -> mask on plain arrays, `scene` reads and writes MRML,
`panel` is the Qt side inside 3D Slicer. Imports point one way: panel -> scene -> engine.
"""

__version__ = "0.1.0"
