"""The errors a user may see: one sentence with what is wrong, where, and what is allowed."""


class PolymorphKDError(Exception):
    """Base of every error raised on purpose; its text is the whole message for the user."""


class ConfigError(PolymorphKDError):
    """A configuration key or value is wrong; the message starts with the key's path."""


class InputError(PolymorphKDError):
    """A file given by the user cannot be used; the message starts with the file's name."""


class EngineError(PolymorphKDError):
    """A DFT engine, teacher or student backend cannot be used as asked."""


class StageError(PolymorphKDError):
    """A stage cannot deliver a usable result from valid input (for example no seed left)."""


class DivergedError(StageError):
    """A training whose loss is no longer a number."""
