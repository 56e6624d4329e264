"""Readers of picture collections: each module's `list_images` turns a folder into a listing.

A listing (LISTING_SCHEMA, sorted by uri) says what each picture is, and opens none of them.
"""
