"""Layers: one public layer per file."""
