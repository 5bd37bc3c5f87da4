"""Echo state networks: fixed random recursions, and a linear readout with a conjugate prior."""

from .closed_loop import ClosedLoop
from .coupling import AbstractCoupling, CycleCoupling, DenseCoupling, SparseCoupling
from .echo_state import EchoState
from .frozen import Frozen
from .reservoir import DeepReservoir, Reservoir

__all__ = [
    "AbstractCoupling",
    "ClosedLoop",
    "CycleCoupling",
    "DeepReservoir",
    "DenseCoupling",
    "EchoState",
    "Frozen",
    "Reservoir",
    "SparseCoupling",
]
