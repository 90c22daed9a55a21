"""The exceptions of mflow, with the texts of the program. Each is also the built-in exception that its kind is caught by."""

from __future__ import annotations


class MflowError(Exception):
    """Whatever goes wrong in mflow."""


class ConfigError(MflowError, ValueError):
    """A parameter or a field of a config is wrong, or does not fit the others."""


class DataError(MflowError, ValueError):
    """Rows do not fit: their shape, a value that is not finite, a missing context."""


class FileError(MflowError, OSError):
    """A file cannot be read or written, is damaged, or is of another kind."""


class TrainingError(MflowError, RuntimeError):
    """Training has diverged."""


class UnsupportedError(MflowError, NotImplementedError):
    """The model has no such thing, as a variational autoencoder has no density."""
