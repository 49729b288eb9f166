"""Commands of the ``medzoo`` command line, by what they are about."""
