"""What is known of images before anything is compared: which show one person, and which show two."""

from itkm_core.links.decisions import Decisions, decisions_file, read_decisions
from itkm_core.links.means import unit_vectors
from itkm_core.links.units import Links, tracker_links

__all__ = [
    "Decisions",
    "Links",
    "decisions_file",
    "read_decisions",
    "tracker_links",
    "unit_vectors",
]
