"""Fine-tuning of image-text models on pairs of pictures and texts."""
