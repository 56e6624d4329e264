"""Readers of picture collections: each module's `list_images` turns a folder into a `Listing`.

It says what each picture is, and opens those alone whose name does not say that they are pictures.
"""
