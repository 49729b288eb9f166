"""What fine-tuning or pretraining changed in a network, measured part by part; ``medzoo.analyze`` runs them all."""
