"""Files read and written: formats checked before ITK reads them, results moved into place whole."""
