"""What is seen: boxes, points and heat maps in slice views, and pictures of slices."""
