"""The one exception that users see: a sentence that names the thing, what was expected and what was found."""


class CrossModalError(ValueError):
    """Something the user can mend. The command line prints its one line and exits with code 2.

    >>> raise CrossModalError("items.csv row 3: label is empty, expected a class name")
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: items.csv row 3: label is empty, expected a class name
    """
