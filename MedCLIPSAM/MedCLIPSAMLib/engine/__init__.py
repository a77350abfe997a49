"""The chain of MedCLIP-SAMv2 (text -> saliency -> box -> mask) on NumPy arrays; needs no 3D Slicer."""

from .machine.allocation import ask_for_large_pages

ask_for_large_pages()
