"""`tf.errors`: the errors that talweg raises in such cases, for `except` to catch."""

AlreadyExistsError = FileExistsError
InvalidArgumentError = ValueError
NotFoundError = FileNotFoundError
OpError = Exception
OutOfRangeError = IndexError
PermissionDeniedError = PermissionError
ResourceExhaustedError = MemoryError
UnimplementedError = NotImplementedError
