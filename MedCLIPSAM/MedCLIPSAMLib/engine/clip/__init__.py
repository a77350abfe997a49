"""Image-text models, found by name or folder (`registry.load_clip`)."""
