"""A small nnU-Net for tests: its plans, and a folder as `weak train` leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from MedCLIPSAMLib.weak.dataset import DATASET
from MedCLIPSAMLib.weak.environment import set_up
from MedCLIPSAMLib.weak.snapshots import ABOUT, PLANS

DESCRIBED = {
    "channel_names": {"0": "image"},
    "labels": {"background": 0, "bar": 1, "ignore": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
_KERNELS = [[3, 3], [3, 3]]


def plans() -> dict[str, Any]:
    """Of a network with two stages for slices of 32 x 32."""
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "Dataset101_Bar",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {"0": {}},
        "configurations": {
            "2d": {
                "data_identifier": "nnUNetPlans_2d",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [32, 32],
                "spacing": [1.0, 1.0],
                "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": resampling | {"is_seg": True},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": resampling,
                "batch_dice": True,
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": 2,
                        "features_per_stage": [4, 8],
                        "conv_op": "torch.nn.modules.conv.Conv2d",
                        "kernel_sizes": _KERNELS,
                        "strides": [[1, 1], [2, 2]],
                        "n_conv_per_stage": [1, 1],
                        "n_conv_per_stage_decoder": [1],
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
                        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
                },
            }
        },
    }


def trainer(folder: Path) -> Any:
    """The real trainer, with its network and optimizer, and no data; it writes below ``folder``."""
    set_up()
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as stock

    from MedCLIPSAMLib.weak.trainer import SnapshotTrainer

    for place in ("nnUNet_preprocessed", "nnUNet_results"):
        setattr(stock, place, str(folder / place))
    torch.manual_seed(0)
    made = SnapshotTrainer(plans() | {"continue_training": False}, "2d", "all", DESCRIBED, torch.device("cpu"))
    made.network = made.build_network_architecture(made.plans_manager, made.configuration_manager, 1, 2, True)
    made.inference_allowed_mirroring_axes = (0, 1)
    return made


def write_model(folder: Path, count: int = 3, **schedule: Any) -> Path:
    """A fold with the snapshots of ``count`` epochs, each of other weights, and nnU-Net's own checkpoints."""
    made = trainer(folder)
    made.schedule = made.schedule.__class__(**{"epochs": count, "rule": "late"} | schedule)
    made.optimizer, made.lr_scheduler = made.configure_optimizers()
    fold = Path(made.output_folder)
    for made.current_epoch in range(count):
        made.logger.log("mean_fg_dice", torch.tensor(0.5).double().numpy()[()], made.current_epoch)
        for name in made.schedule.saved(made.current_epoch):
            made._save_snapshot(fold / name)
        with torch.no_grad():
            for weights in made.network.parameters():
                weights += 0.1 * torch.randn_like(weights)
    made.save_checkpoint(str(fold / "checkpoint_best.pth"))
    (fold.parent / PLANS).write_text(json.dumps(plans()))
    (fold.parent / DATASET).write_text(json.dumps(DESCRIBED))
    about = {"configuration": "2d", "schedule": vars(made.schedule)}
    (fold / ABOUT).write_text(json.dumps(about))
    return fold
