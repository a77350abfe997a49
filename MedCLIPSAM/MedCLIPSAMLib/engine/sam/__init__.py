"""Promptable segmenters of the SAM family: boxes and points on a slice become masks."""
