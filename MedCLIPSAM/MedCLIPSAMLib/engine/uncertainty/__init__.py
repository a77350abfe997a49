"""How sure a mask is, voxel by voxel and slice by slice."""
