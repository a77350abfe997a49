"""Tests of `MedCLIPSAMLib.weak`."""
