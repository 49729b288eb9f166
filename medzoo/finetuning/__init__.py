"""Fine-tuning: ``medzoo.finetune`` and its parts."""
