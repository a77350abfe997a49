"""Damaged files, each out of a valid one."""
