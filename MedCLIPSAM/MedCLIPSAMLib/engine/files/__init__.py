"""Files read safely: weights, JSON documents, checksums, and the data of the package."""
