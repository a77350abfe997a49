"""What a run found, and how sure it is: evidence on each slice, and a way through the slices in doubt."""
