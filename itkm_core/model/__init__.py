"""CLIP, the image encoder made from it, and its weights file."""
