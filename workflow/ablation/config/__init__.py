"""Typed configuration: dataset, recipe, scale, study, and the workflow's own settings."""
