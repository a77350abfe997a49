"""What to look for: texts, points and how they are shown to the segmenter; a library, and advice on texts."""
