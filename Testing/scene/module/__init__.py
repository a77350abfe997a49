"""The module that 3D Slicer loads, and the extension that brings it."""
