"""The protocols of public collections, one file each: what is asked of what, and what is left out."""
