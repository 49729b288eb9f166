"""What training changed in a network: ``medzoo.analyze`` and its measurements."""
