"""The LightningModule that trains and tests :class:`~drumblender.tasks.blender.Blender`."""

from typing import Any, Dict, Optional, Tuple, Union

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from drumblender.errors import UsageError
from drumblender.tasks.blender import Blender


class DrumBlender(Blender, pl.LightningModule):
    """Differentiable modeling of percussive audio with transient and spectral synthesis.

    Args:
        modal_synth: as all that is not listed here, an argument of
            :class:`~drumblender.tasks.blender.Blender`.
        loss_fn: (resynthesis, target) -> scalar.
        test_metrics: metrics (resynthesis, target) for ``drumblender test``, by name.
        float32_matmul_precision: passed to ``torch.set_float32_matmul_precision``.

    Raises:
        UsageError: for a wiring that cannot work.
    """

    def __init__(
        self,
        modal_synth: nn.Module,
        loss_fn: nn.Module,
        *,
        test_metrics: Optional[Union[Dict[str, Metric], MetricCollection]] = None,
        float32_matmul_precision: Optional[str] = None,
        **wiring,
    ):
        super().__init__(modal_synth, **wiring)
        if float32_matmul_precision is not None:
            if float32_matmul_precision not in ("medium", "high", "highest"):
                raise UsageError(
                    f"Model: float32_matmul_precision '{float32_matmul_precision}' is not one of "
                    "medium, high, highest."
                )
            torch.set_float32_matmul_precision(float32_matmul_precision)
        self.loss_fn = loss_fn
        if isinstance(test_metrics, dict):
            # Without groups: metrics that agree on a first batch of silence would be taken for one.
            test_metrics = MetricCollection(test_metrics, compute_groups=False)
        self.test_metrics = test_metrics

    def _step(self, batch: Tuple[Tensor, Tensor], stage: str) -> Dict[str, Tensor]:
        audio, params = batch
        resynthesis = self(audio, params)
        loss = self.loss_fn(resynthesis, audio)
        self.log(
            f"{stage}/loss",
            loss,
            on_step=stage == "train",
            on_epoch=True,
            prog_bar=True,
            sync_dist=stage != "train",
            batch_size=len(audio),
        )
        return {"loss": loss, "target": audio, "resynthesis": resynthesis.detach()}

    def training_step(self, batch, batch_idx: int):
        return self._step(batch, "train")

    def validation_step(self, batch, batch_idx: int):
        return self._step(batch, "validation")

    def test_step(self, batch, batch_idx: int):
        outputs = self._step(batch, "test")
        if self.test_metrics is not None:
            self.test_metrics.update(outputs["resynthesis"], outputs["target"])
        return outputs

    def on_test_epoch_end(self) -> None:
        if self.test_metrics is not None:
            values = self.test_metrics.compute()
            self.log_dict({f"test/{name}": value for name, value in values.items()})
            self.test_metrics.reset()

    def predict_step(self, batch, batch_idx: int) -> Tensor:
        return self(*batch)

    def on_save_checkpoint(self, checkpoint: Dict[str, Any]) -> None:
        if self.configuration is not None:
            checkpoint["configuration"] = self.configuration

    def on_load_checkpoint(self, checkpoint: Dict[str, Any]) -> None:
        checkpoint["state_dict"] = self.adopt(checkpoint["state_dict"])
        self.play_as_trained(checkpoint)
