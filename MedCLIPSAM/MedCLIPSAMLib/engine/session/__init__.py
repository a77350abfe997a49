"""One volume and its models: looking, locating and masking, and what a run and a slice give."""
