"""Weak supervision: masks of the chain teach an nnU-Net, whose snapshots say how sure they are."""
