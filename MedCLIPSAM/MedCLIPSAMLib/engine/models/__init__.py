"""The models that are known, where their files are kept, and how they get there."""
