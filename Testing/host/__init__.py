"""A host for the panel where 3D Slicer's window is not: real Qt widgets off screen, bound to the real MRML scene."""
