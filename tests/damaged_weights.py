"""Damaged files of weights: refused by one sentence that names the file, or read."""

from keras_vidreg.zoo.fill import build_from_file


def refusals(file, contents, make, labels):
    """How many of these contents of a `.weights.h5` file are refused."""
    count = 0
    for content in contents:
        file.write_bytes(content)
        try:
            build_from_file(make, file, labels, labels)
        except ValueError as error:
            assert str(file) in str(error)
            count += 1
    return count
