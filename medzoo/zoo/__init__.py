"""What a zoo is made of: pins, verified files, a folder or a zip of bundles, the Hub, and a copy to carry."""
