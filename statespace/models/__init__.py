"""What a state-space model is, the models of the library, and how a model's parameters are found."""

from ..core.keys import as_key
from ..core.parameters import batch_shape, is_traced, parameters, unknown, with_fields
from ..core.parameters import replace as with_values
from .weights import redrawn

__all__ = ["as_key", "batch_shape", "is_traced", "parameters", "redrawn", "unknown", "with_fields", "with_values"]
