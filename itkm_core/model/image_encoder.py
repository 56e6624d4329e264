"""The image encoder: CLIP's vision transformer with a patch embedding per group, and scenarios.

docs/definition.md, "Image encoder"; the dual-branch frontend and the scenario embedding follow ITKM (Pang et
al., AAAI 2026).

Shapes: B images of H x W pixels, T = 1 + (H / patch) (W / patch) tokens, C the transformer's width,
D CLIP's joint dimension, S scenarios.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from itkm_core.errors import ModelError
from itkm_core.model.positions import patch_grid, resize_positions

NUM_GROUPS = 2
UNKNOWN_SCENARIO = -1


class ImageEncoder(nn.Module):
    """Images of any group and scenario -> unit vectors. Build it with `from_open_clip`."""

    def __init__(
        self,
        vision: Any,
        *,
        num_scenarios: int,
        image_size: tuple[int, int],
        scenario_embedding: bool,
        scenario_scale: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.num_scenarios = num_scenarios
        self.scenario_scale = scenario_scale
        self.patch_embeddings = nn.ModuleList(
            copy.deepcopy(vision.conv1) for _ in range(NUM_GROUPS)
        )
        self.class_embedding = nn.Parameter(vision.class_embedding.detach().clone())
        grid = patch_grid(image_size, vision.patch_size)
        positions = resize_positions(vision.positional_embedding.detach(), vision.grid_size, grid)
        self.positional_embedding = nn.Parameter(
            positions.clone(), requires_grad=vision.positional_embedding.requires_grad
        )
        self.scenario_embedding = (
            nn.Parameter(_initial_scenarios(num_scenarios, self.class_embedding, seed))
            if scenario_embedding
            else None
        )
        self.patch_dropout = copy.deepcopy(vision.patch_dropout)
        self.ln_pre = copy.deepcopy(vision.ln_pre)
        self.transformer = copy.deepcopy(vision.transformer)
        self.ln_post = copy.deepcopy(vision.ln_post)
        self.proj = nn.Parameter(vision.proj.detach().clone())

    @classmethod
    def from_open_clip(
        cls,
        clip: Any,
        *,
        num_scenarios: int,
        image_size: tuple[int, int] = (256, 128),
        scenario_embedding: bool = True,
        scenario_scale: float = 1.0,
        seed: int = 0,
    ) -> ImageEncoder:
        """Copy the image tower of an open_clip model; the model itself is left as it is.

        Args:
            clip: an open_clip model whose image tower is open_clip's own `VisionTransformer` with a
                class token.
            num_scenarios: S, rows of the scenario embedding.
            image_size: (height, width) in pixels, each a multiple of the patch.
            scenario_embedding: False leaves the embedding (and its parameter) out.
            scenario_scale: alpha, the factor on the scenario embedding. [ours]
            seed: of the scenario embedding's start, N(0, 0.02^2). [ours]

        Raises:
            ModelError: another kind of image tower, a size that is not a multiple of the patch, or no
                scenarios.
        """
        vision = clip.visual
        image_size = (int(image_size[0]), int(image_size[1]))
        _check_tower(vision)
        patch_grid(image_size, vision.patch_size)
        if num_scenarios < 1:
            raise ModelError(f"num_scenarios is {num_scenarios}: expected at least 1")
        return cls(
            vision,
            num_scenarios=num_scenarios,
            image_size=image_size,
            scenario_embedding=scenario_embedding,
            scenario_scale=scenario_scale,
            seed=seed,
        )

    @property
    def dimension(self) -> int:
        """D, the length of a feature."""
        return int(self.proj.shape[1])

    def checkpoint_activations(self, enabled: bool = True) -> None:
        """Keep only each block's input for the backward pass: slower, with less memory."""
        self.transformer.grad_checkpointing = enabled

    def freeze_patches(self) -> None:
        """Train everything but the patch embeddings, which stay what they are."""
        self.patch_embeddings.requires_grad_(False)

    def forward(self, images: Tensor, groups: Tensor, scenarios: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            images: float [B, 3, H, W], normalised with the CLIP's mean and std.
            groups: int64 [B], 0 or 1; best left on the CPU, where checking and sorting them does
                not stall a device.
            scenarios: int64 [B], 0 .. S-1, or -1 for "unknown": the mean of the scenario embedding.
                [ours]

        Returns:
            float32 [B, D], rows of unit norm.

        Raises:
            ModelError: another image size, or a group or scenario that does not exist.
        """
        self._check_batch(images, groups, scenarios)
        tokens = self._patches(images, groups)
        start = self.class_embedding.to(tokens.dtype).expand(len(tokens), 1, -1)
        tokens = torch.cat([start, tokens], dim=1) + self.positional_embedding.to(tokens.dtype)
        if self.scenario_embedding is not None:
            tokens = tokens + self._scenario_rows(scenarios).to(tokens.dtype).unsqueeze(1)
        tokens = self.ln_pre(self.patch_dropout(tokens))
        tokens = self.transformer(tokens)
        # The norm works on each token separately, so only the class token needs it.
        features = self.ln_post(tokens[:, 0]) @ self.proj
        return F.normalize(features.float(), dim=-1)

    def _patches(self, images: Tensor, groups: Tensor) -> Tensor:
        """[B, T-1, C]: each image through the patch embedding of its own group.

        Both branches always run, if need be on no images, so that under
        DistributedDataParallel every parameter belongs to every step's graph.
        """
        members = [(groups == group).nonzero().squeeze(1) for group in range(NUM_GROUPS)]
        order = torch.cat(members)
        parts = [
            branch(images[rows.to(images.device)])
            for branch, rows in zip(self.patch_embeddings, members, strict=True)
        ]
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        return torch.cat(parts)[back.to(images.device)].flatten(2).transpose(1, 2)

    def _scenario_rows(self, scenarios: Tensor) -> Tensor:
        """[B, C]: alpha e_s, the mean of E where the scenario is unknown."""
        assert self.scenario_embedding is not None
        table = torch.cat([self.scenario_embedding, self.scenario_embedding.mean(0, keepdim=True)])
        rows = torch.where(scenarios == UNKNOWN_SCENARIO, self.num_scenarios, scenarios)
        return self.scenario_scale * F.embedding(rows.to(table.device), table)

    def _check_batch(self, images: Tensor, groups: Tensor, scenarios: Tensor) -> None:
        expected = (len(groups), 3, *self.image_size)
        if tuple(images.shape) != expected or len(scenarios) != len(groups):
            raise ModelError(
                f"images of shape {tuple(images.shape)} with {len(groups)} groups and "
                f"{len(scenarios)} scenarios: expected [B, 3, {self.image_size[0]}, "
                f"{self.image_size[1]}], [B] and [B]"
            )
        if len(groups) == 0:
            return
        if groups.min() < 0 or groups.max() >= NUM_GROUPS:
            raise ModelError(
                f"groups run from {int(groups.min())} to {int(groups.max())}: expected 0 or 1"
            )
        if scenarios.min() < UNKNOWN_SCENARIO or scenarios.max() >= self.num_scenarios:
            raise ModelError(
                f"scenarios run from {int(scenarios.min())} to {int(scenarios.max())}: expected -1 "
                f"(unknown) to {self.num_scenarios - 1}, the scenarios this encoder was made for"
            )


def _initial_scenarios(num_scenarios: int, like: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(num_scenarios, like.shape[0], generator=generator) * 0.02
    return start.to(device=like.device, dtype=like.dtype)


def _check_tower(vision: Any) -> None:
    from open_clip.transformer import VisionTransformer

    advice = "Choose a model.name with a plain vision transformer, such as ViT-B-16 or ViT-L-14"
    if not isinstance(vision, VisionTransformer):
        raise ModelError(
            f"The image tower is a {type(vision).__name__}: expected open_clip's "
            f"VisionTransformer. {advice}"
        )
    if vision.attn_pool is not None or vision.pool_type != "tok":
        pooling = "attentional" if vision.attn_pool is not None else repr(vision.pool_type)
        raise ModelError(
            f"The image tower has {pooling} pooling: expected features from its class token. "
            f"{advice}"
        )
    if vision.proj is None:
        raise ModelError(f"The image tower has no projection into CLIP's joint space. {advice}")
