"""Seeds: the parents of the library, from prototypes and short MD or from the user's files."""

from .collect import collect, read_user_seeds

__all__ = ["collect", "read_user_seeds"]
