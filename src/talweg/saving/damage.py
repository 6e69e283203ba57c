"""The error of a file that cannot be believed."""


class DamagedFile(ValueError):
    """A file that is not what it should be; nothing of it was used."""
