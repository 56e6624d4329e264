"""The method: torch, numpy and pyarrow, nothing of Ray."""
