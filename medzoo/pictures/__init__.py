"""Pictures of what a fine-tuning found; ``medzoo.pictures.gallery`` lists them."""
