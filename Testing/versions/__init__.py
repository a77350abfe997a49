"""The packages that each 3D Slicer ships, and our tests with them."""
