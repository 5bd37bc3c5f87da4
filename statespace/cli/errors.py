"""What a user of the command can put right: one line, no traceback."""


class CommandError(Exception):
    """A wrong argument, file or model; its text says what to do."""


def one_line(error: BaseException) -> str:
    """The text of an error without line breaks; the kind of error where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
