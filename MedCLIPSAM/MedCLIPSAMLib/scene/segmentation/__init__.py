"""Segmentation nodes: segments, their provenance, colours and reports."""
