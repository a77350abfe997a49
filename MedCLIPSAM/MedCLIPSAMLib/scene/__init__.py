"""MRML in, MRML out: volumes, segmentations, files and pictures; needs slicer and vtk, never Qt."""
