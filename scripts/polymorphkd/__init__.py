"""PolymorphKD: from a handful of structures to a fast, validated interatomic potential."""

__version__ = "0.1.0"
