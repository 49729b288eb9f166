"""Ranking pretrained weights for a data set without fine-tuning: ``medzoo.recommend`` and its scores."""
