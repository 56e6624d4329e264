"""The corpus: what it looks like on disk, and how pictures are read, sampled and turned into batches."""
