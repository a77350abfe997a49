"""Image-text models, found by name or folder (`registry.load_clip`)."""

import os

# The few texts of a prompt need no threads, and the tokenizers library panics where none can be started.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
