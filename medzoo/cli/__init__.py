"""The ``medzoo`` command line, one file a command."""
