"""Networks: the TCN of the transient and the encoders that predict controls from audio."""

from drumblender.models.tcn import TCN

__all__ = ["TCN"]
