"""The gauges of a run: what each means, with its unit, and by what it is told apart.

Prometheus sees them as `ray_<name>` on the metrics port of the node where the run's board is (handle.py).
docs/monitoring.md and cluster_configs/monitoring/ build on these names.
"""

from __future__ import annotations

# name -> (help with its unit, tags)
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "itkm_round": ("Round now running, counted from 1; the last one only labels", ()),
    "itkm_steps_running": (
        "Steps now running, by kind: extract, frozen, label, prompts, match, evaluate or train",
        ("step",),
    ),
    "itkm_last_progress_timestamp_seconds": (
        "When the run last got on: a step began or ended, or images or rows were done; seconds since 1970",
        (),
    ),
    "itkm_step_seconds": ("Seconds that the newest finished step of this name took", ("step",)),
    "itkm_images_per_second": (
        "Images handled a second by the step of this kind that runs, 0 where none does",
        ("step",),
    ),
    "itkm_memory_bytes": (
        "Bytes. kind=host: the most that a process which worked on the step has held in memory, so far in "
        "its life; device: of a GPU, in PyTorch; asked: what labelling asked Ray for",
        ("step", "kind"),
    ),
    "itkm_clusters": ("Clusters of the newest pseudo-labels", ("scenario", "group")),
    "itkm_outlier_share": ("Share of images that are outliers, 0 to 1", ("scenario", "group")),
    "itkm_label_agreement": (
        "Adjusted mutual information with the round before, at most 1",
        ("scenario", "group"),
    ),
    "itkm_label_collapse": (
        "1 where the newest labels are no clusters, all noise or one cluster of more than half the group, "
        "and so those of the round before are kept where there are any; else 0",
        ("scenario", "group"),
    ),
    "itkm_mutual_match_share": (
        "Share of the smaller group's clusters that are mutual best with their match, 0 to 1",
        ("scenario",),
    ),
    "itkm_loss": ("Training loss of the newest step, nats", ("term",)),
    # A gauge that is NaN is not exported at all, so the loss itself cannot tell.
    "itkm_loss_not_finite": (
        "1 where a loss or a gradient was not finite, which ends the run; else 0",
        ("step",),
    ),
}
