"""CLIP, the image encoder made from it, and the file with its weights."""
