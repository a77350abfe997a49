"""The section Setup: Python packages, and models."""
