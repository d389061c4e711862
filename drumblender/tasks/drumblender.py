"""The LightningModule that trains and tests :class:`~drumblender.tasks.blender.Blender`."""

import contextlib
import os
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, TypedDict, Union, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.types import LRSchedulerTypeUnion
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric, MetricCollection

from drumblender.data.augment import Augmentation
from drumblender.data.dataset import AudioDataset
from drumblender.errors import DrumblenderError, UsageError, did_you_mean
from drumblender.loss import PartLoss, long_enough
from drumblender.metrics import MeanOverItems
from drumblender.models.components import AttentionPooling
from drumblender.models.soundstream import SoundStreamEncoder
from drumblender.parameters import Modes
from drumblender.pretrained.origin import software
from drumblender.signal import at_least_float32, full_precision, mix
from drumblender.tasks import trained_on
from drumblender.tasks.blender import Blender, Stems

# Audio (B, 1, N), modal parameters (B, 3, M, F), and maybe what was measured of the other parts.
Batch = Union[Tuple[Tensor, Tensor], Tuple[Tensor, Tensor, Mapping[str, Tensor]]]


class _Outputs(TypedDict):
    """What every step gives."""

    loss: Tensor
    target: Tensor
    resynthesis: Tensor


class Outputs(_Outputs, total=False):
    """What a step gives to callbacks.

    The loss is a scalar; target and resynthesis are (B, 1, N). ``items`` holds what was measured on
    each sound alone, (B,) by name.
    """

    items: Dict[str, Tensor]


class DrumBlender(Blender, pl.LightningModule):
    """The model and its training (Shier et al., Forum Acusticum 2023).

    Args:
        modal_synth: an argument of :class:`~drumblender.tasks.blender.Blender`, as are all that are
            not listed here.
        loss_fn: module that takes a resynthesis and its target and returns a scalar.
        part_losses: losses of parts by the names of the parts, each with a weight. What a part
            contributes to the sound is compared with what was measured of it, so that every network
            learns its own part. Batches have to hold that
            (:class:`~drumblender.data.AudioWithPartsDataset`). Modes are compared with the measured
            ones. Training and validation then minimize the loss of the sound plus these.
        augmentation: changes of the batches that are trained on. None takes them as they are.
        test_metrics: metrics for ``drumblender test``, by name. Each takes a resynthesis and its
            target.
        float32_matmul_precision: value for ``torch.set_float32_matmul_precision``.
        compile: whether to compile encoders and transient network with ``torch.compile``.
        activation_checkpointing: whether the backward pass computes what the encoders' blocks would
            keep for it again. That takes less memory and a quarter more time.

    Raises:
        UsageError: if the wiring cannot work, if the precision is unknown, or if a part that has a
            loss cannot learn.
    """

    def __init__(
        self,
        modal_synth: Optional[nn.Module],
        loss_fn: nn.Module,
        *,
        part_losses: Optional[Dict[str, PartLoss]] = None,
        augmentation: Optional[Augmentation] = None,
        test_metrics: Optional[Union[Dict[str, Metric], MetricCollection]] = None,
        float32_matmul_precision: Optional[str] = None,
        compile: bool = False,
        activation_checkpointing: bool = False,
        **wiring: Any,
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
        self.augmentation = augmentation
        parts = part_losses or {}
        self._check_part_losses(parts)
        self.part_weights = {name: part.weight for name, part in parts.items()}
        self.part_targets = {name: part.target for name, part in parts.items()}
        if parts:
            self.part_losses = nn.ModuleDict({n: part.loss_fn for n, part in parts.items()})
        if isinstance(test_metrics, dict):
            # Without groups: metrics that agree on a first batch of silence would be taken for one.
            test_metrics = MetricCollection({**test_metrics}, compute_groups=False)
        self.test_metrics = test_metrics
        for module in self.modules():
            if isinstance(module, SoundStreamEncoder):
                module.activation_checkpointing = activation_checkpointing
        if compile:
            for module in self.modules():
                if isinstance(module, AttentionPooling):
                    # PyTorch 2.11's compiler for CPUs fails in it, and there is nothing to gain.
                    vars(module)["forward"] = torch.compiler.disable(module.forward)
            for net in (
                self.encoder,
                self.modal_autoencoder,
                self.noise_autoencoder,
                self.transient_autoencoder,
                self.transient_synth,
            ):
                if net is not None:
                    net.compile()
        # Schedulers that acted on a metric already, and the epoch in which they last did.
        self._acted: Dict[LRSchedulerTypeUnion, int] = {}
        # Of the noise in each step. The seed of the configuration; another one each time without.
        self.noise_seed = int(os.environ.get("PL_GLOBAL_SEED") or torch.initial_seed() % 2**32)

    def _check_part_losses(self, part_losses: Mapping[str, PartLoss]) -> None:
        """Refuse the loss of a part that is not there, or that cannot learn."""
        names = [part.name for part in self.parts]
        for name in part_losses:
            if name not in names:
                raise UsageError(
                    f"Model: part_losses has {name!r}, and the parts of the model are "
                    f"{', '.join(names)}{did_you_mean(name, names)}"
                )
            if name == "modal" and self.modal_autoencoder is None:
                raise UsageError(
                    "Model: part_losses has 'modal', whose modes are measured and not learned; "
                    "leave it out, or give a modal_autoencoder."
                )
            if part_losses[name].target == "measured" and self.augmentation is not None:
                raise UsageError(
                    f"Model: part_losses compares {name!r} with what was measured of it, which "
                    "augmentation does not change; set its target to rest, or leave out "
                    "part_losses or augmentation."
                )

    def loss_of(self, resynthesis: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, in float32 whatever autocast does.

        Shape:
            - resynthesis, target: (B, 1, N)
            - Output: scalar
        """
        with long_enough(target.shape[-1]), full_precision(target):
            return self.loss_fn(at_least_float32(resynthesis), at_least_float32(target))

    def _step(self, batch: Batch, stage: str) -> Outputs:
        """Resynthesize a batch and log its loss."""
        audio, params, *measured = batch
        if not self.part_weights or stage == "test":
            resynthesis = self(audio, params)
            loss = self.loss_of(resynthesis, audio)
        else:
            stems = self._stems(audio, params)
            resynthesis = mix(stems)
            alone = self.loss_of(resynthesis, audio)
            parts = self._part_losses(stems, audio, params, measured)
            loss = alone + sum(self.part_weights[name] * parts[name] for name in parts)
            values = {"resynthesis": alone, **parts}
            self.log_dict(
                {f"{stage}/loss_{name}": value for name, value in values.items()},
                on_step=False,
                on_epoch=True,
                sync_dist=True,
                batch_size=len(audio),
            )
        self.log(
            f"{stage}/loss",
            loss,
            on_step=stage == "train",
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
            batch_size=len(audio),
        )
        return {"loss": loss, "target": audio, "resynthesis": resynthesis.detach()}

    def _stems(self, audio: Tensor, params: Tensor) -> Stems:
        """Resynthesize a batch, part by part."""
        num_samples = audio.shape[-1]
        return self.synthesize(self.encode(audio, Modes(params, num_samples)), num_samples)

    def _part_losses(
        self, stems: Stems, audio: Tensor, params: Tensor, measured: Sequence[Mapping[str, Tensor]]
    ) -> Dict[str, Tensor]:
        """Compute the loss of each part that has one, in float32 whatever autocast does."""
        targets = dict(measured[0]) if measured else {}
        for name in [n for n, target in self.part_targets.items() if target == "rest"]:
            targets[name] = audio - stems["modal"].detach() if "modal" in stems else audio
        if "modal" in self.part_weights and self.modal_synth is not None:
            targets["modal"] = self.modal_synth(params, stems["modal"].shape[-1])
        losses = {}
        for name in self.part_weights:
            if name not in targets:
                raise UsageError(
                    f"Model: part_losses has {name!r}, of which the dataset holds no measurement; "
                    "set dataset_class to drumblender.data.AudioWithPartsDataset and method to "
                    "separating in the data section, or leave it out."
                )
            with full_precision(params):
                stem = at_least_float32(stems[name])
                losses[name] = self.part_losses[name](stem, at_least_float32(targets[name]))
        return losses

    def _losses(self, outputs: Outputs) -> Tensor:
        """Compute the loss of each item of a batch alone, (B,)."""
        pairs = list(zip(outputs["resynthesis"].split(1), outputs["target"].split(1)))
        if len(pairs) == 1 and not self.part_weights:
            return outputs["loss"].detach().reshape(1)
        return torch.stack([self.loss_of(*pair) for pair in pairs])

    def _seed(self, *position: int) -> None:
        """Seed what a step draws by its position, so that a resumed run draws the same."""
        entropy = [self.noise_seed, self.global_rank, *position]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the noise of a training step."""
        self._seed(0, self.current_epoch, batch_idx)

    def on_validation_batch_start(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Seed the noise of a validation step."""
        # The same noise in every epoch: a loss that is lower is lower by training, not by chance.
        self._seed(1, batch_idx)

    def on_test_batch_start(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Seed the noise of a test step."""
        self._seed(2, batch_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """Resynthesize a batch, and return its loss, its targets and its resyntheses.

        Raises:
            DrumblenderError: if the loss is not finite.
        """
        if self.augmentation is not None:
            batch = self.augmentation(*batch[:2])
        outputs = self._step(batch, "train")
        self._refuse_nan(outputs["loss"])
        return outputs

    def _refuse_nan(self, loss: Tensor) -> None:
        """Stop before a step that would make the weights NaN."""
        scaled = getattr(self.trainer.precision_plugin, "scaler", None)  # which leaves such out
        if scaled is None and not torch.isfinite(loss):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise DrumblenderError(
                f"The training loss is {loss.item()} at step {self.global_step}; lower the "
                f"learning rate (--optimizer.init_args.lr, now {rate:g}) or clip gradients "
                "(--trainer.gradient_clip_val 1)."
            )

    def validation_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """Resynthesize a batch, and return its loss, its targets and its resyntheses."""
        outputs = self._step(batch, "validation")
        if self.trainer.state.fn == TrainerFn.VALIDATING:
            name = "loss_resynthesis" if self.part_weights else "loss"
            outputs["items"] = {name: self._losses(outputs)}
        return outputs

    def test_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """Resynthesize a batch, and return what metrics say of each item as well."""
        outputs = self._step(batch, "test")
        outputs["items"] = {"loss": self._losses(outputs)}
        pairs = list(zip(outputs["resynthesis"].split(1), outputs["target"].split(1)))
        for name, metric in (self.test_metrics or {}).items():
            if isinstance(metric, MeanOverItems):  # one item at a time is the same as all at once
                values = [metric(*pair) for pair in pairs]
            else:
                metric.update(outputs["resynthesis"], outputs["target"])
                alone = metric.clone()
                alone.reset()
                values = [alone(*pair) for pair in pairs]
            if all(isinstance(value, Tensor) and value.numel() == 1 for value in values):
                outputs["items"][name] = torch.stack([x.detach().flatten()[0] for x in values])
        return outputs

    def on_validation_epoch_end(self) -> None:
        """Let schedulers that watch a metric act before checkpoints are saved.

        Lightning lets them act after that, and a resumed run would leave out one action.
        """
        if self.trainer.sanity_checking or self.trainer.state.fn != TrainerFn.FITTING:
            return
        if not self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        for config in self.trainer.lr_scheduler_configs:
            metric = self.trainer.callback_metrics.get(config.monitor or "")
            due = config.interval == "epoch" and (self.current_epoch + 1) % config.frequency == 0
            if config.reduce_on_plateau and due and metric is not None:
                cast(ReduceLROnPlateau, config.scheduler).step(metric)
                self._acted[config.scheduler] = self.current_epoch

    def lr_scheduler_step(self, scheduler: LRSchedulerTypeUnion, metric: Optional[Any]) -> None:
        """Let a scheduler act, unless it has done so in this epoch."""
        if self._acted.get(scheduler) != self.current_epoch:
            super().lr_scheduler_step(scheduler, metric)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole test set."""
        if self.test_metrics is not None:
            values = self.test_metrics.compute()
            self.log_dict({f"test/{name}": value for name, value in values.items()})
            self.test_metrics.reset()

    def on_predict_batch_start(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Seed the noise of a prediction step."""
        self._seed(2, batch_idx)  # the noise that the test hears

    def predict_step(self, batch: Batch, batch_idx: int) -> Dict[str, Any]:
        """Return the resyntheses of a batch, their targets, and their parts by name."""
        audio, params, *_ = batch
        stems = self._stems(audio, params)
        return {"resynthesis": mix(stems), "target": audio, "stems": stems}

    def on_save_checkpoint(self, checkpoint: Dict[str, Any]) -> None:
        """Keep the configuration, the seed, the program and what was trained on."""
        checkpoint["noise_seed"] = self.noise_seed
        checkpoint["software"] = software()
        with contextlib.suppress(RuntimeError):  # where no trainer is attached
            dataset = getattr(getattr(self.trainer, "datamodule", None), "train_dataset", None)
            if isinstance(dataset, AudioDataset):
                checkpoint[trained_on.KEY] = trained_on.describe(dataset)
        if self.configuration is not None:
            checkpoint["configuration"] = self.configuration

    def on_load_checkpoint(self, checkpoint: Dict[str, Any]) -> None:
        """Take what a checkpoint says besides its weights."""
        checkpoint["state_dict"] = self.adopt(checkpoint["state_dict"])
        self.play_as_trained(checkpoint)
        self.noise_seed = checkpoint.get("noise_seed", self.noise_seed)
