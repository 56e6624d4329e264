"""The corpus: what it looks like on disk, how pictures are read, sampled and made up."""
