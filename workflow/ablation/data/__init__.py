"""Betons and what is read from them: draws, crop windows, resident and streaming readers."""
