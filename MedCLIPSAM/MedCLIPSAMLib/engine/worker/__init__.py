"""The engine in a process of its own, so that a window stays alive whatever happens to it."""
