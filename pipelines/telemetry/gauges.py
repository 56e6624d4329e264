"""The gauges of a run: what each means, its unit, and its tags.

Prometheus sees them as `ray_<name>` on the metrics port of the node that has the run's board (handle.py).
docs/monitoring.md and cluster_configs/monitoring/ depend on these names.
"""

from __future__ import annotations

# name -> (help with its unit, tags)
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "itkm_round": ("Round now running, counted from 1; the last round only labels", ()),
    "itkm_steps_running": (
        "Steps now running, by kind: extract, frozen, label, prompts, match, evaluate or train",
        ("step",),
    ),
    "itkm_last_progress_timestamp_seconds": (
        "Time of the last progress: a step started or ended, or images or rows were done; seconds since 1970",
        (),
    ),
    "itkm_step_seconds": (
        "Seconds taken by the most recently finished step of this name",
        ("step",),
    ),
    "itkm_images_per_second": (
        "Images per second of the running step of this kind; 0 if none is running",
        ("step",),
    ),
    "itkm_memory_bytes": (
        "Bytes of memory at the peak of any process that worked on the step. kind=host: resident memory; "
        "device: GPU memory held by PyTorch; asked: what labelling requested from Ray",
        ("step", "kind"),
    ),
    "itkm_clusters": ("Number of clusters in the latest pseudo-labels", ("scenario", "group")),
    "itkm_outlier_share": ("Share of images that are outliers, 0 to 1", ("scenario", "group")),
    "itkm_merge_errors": (
        "Share of pairs of tracklets known to be two people that unlinked labels put in one cluster, 0 to 1",
        ("scenario", "group"),
    ),
    "itkm_split_errors": (
        "Share of tracklets whose halves unlinked labels put in different clusters, 0 to 1",
        ("scenario", "group"),
    ),
    "itkm_label_agreement": (
        "Adjusted mutual information with the previous round's labels, at most 1",
        ("scenario", "group"),
    ),
    "itkm_label_collapse": (
        "1 if the latest labels are unusable (all noise, or one cluster of more than half the group), in "
        "which case the previous round's labels are kept if there are any; else 0",
        ("scenario", "group"),
    ),
    "itkm_mutual_match_share": (
        "Share of the smaller group's clusters whose match is mutual (each is the other's best), 0 to 1",
        ("scenario",),
    ),
    "itkm_loss": ("Training loss of the latest step, nats", ("term",)),
    # A NaN gauge is not exported at all, so the loss itself cannot show this.
    "itkm_loss_not_finite": (
        "1 if a loss or gradient was not finite, which ends the run; else 0",
        ("step",),
    ),
}
