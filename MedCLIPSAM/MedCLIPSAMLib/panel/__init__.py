"""The Qt side of the prompt panel: the only part of the package that needs 3D Slicer's window."""
