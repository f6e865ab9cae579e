"""What goes wrong with a file from elsewhere."""


class UnsafeFileError(ValueError):
    """A file asks for something that weights never need, such as calling a function.

    Nothing of the file has been executed or imported when it is raised.
    """
