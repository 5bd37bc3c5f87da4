"""What importing `statespace` sets up: one XLA option, said plainly.

XLA compiles a small loop on the CPU into one native kernel when it is allowed to
(`xla_cpu_small_while_loop_byte_threshold`). That makes the recursions of this library 2-8 times
faster at small state sizes. The option is appended to `XLA_FLAGS` unless the user has set it, and it
only acts if no JAX backend has been started yet.
"""

import os
import warnings

from jax._src import xla_bridge

OPTION = "xla_cpu_small_while_loop_byte_threshold"
_THRESHOLD = 262144


def allow_small_loop_kernels() -> None:
    """Append the loop option to `XLA_FLAGS`, or warn once where it comes too late.

    Example:
        >>> import os
        >>> from statespace.runtime import OPTION, allow_small_loop_kernels
        >>> allow_small_loop_kernels()
        >>> OPTION in os.environ["XLA_FLAGS"]
        True
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if OPTION in flags:
        return
    if xla_bridge.backends_are_initialized():
        warnings.warn(
            "statespace was imported after JAX had started a backend, so its loops cannot be compiled into "
            "single kernels and small models run up to 8 times slower on the CPU. Import statespace before "
            f"the first JAX computation, or set XLA_FLAGS=--xla_backend_extra_options={OPTION}={_THRESHOLD}.",
            stacklevel=3,
        )
        return
    os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={OPTION}={_THRESHOLD}".strip()
