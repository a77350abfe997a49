"""Packages of the distribution; everything else is in pyproject.toml.

Resources lies beside MedCLIPSAMLib, where 3D Slicer wants it, and moves inside it in a wheel. No
declarative setting finds packages and adds one from elsewhere.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages("MedCLIPSAM", exclude=["MedCLIPSAMLib.panel*"]),
        "MedCLIPSAMLib.Resources",
    ]
)
