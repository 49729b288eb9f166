"""The training loop and its parts: batches, augmentation, losses, optimizers, checkpoints."""
