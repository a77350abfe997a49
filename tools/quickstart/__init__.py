"""Training of the built-in quick-start CLIP: data, augmentation, losses and evaluation.

Nothing here is needed to use the model; ``make quickstart-model`` runs it.
"""
