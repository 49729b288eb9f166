"""A trained model on new images: predictions, evaluation, explanations."""
