"""Configurations. Every command reads its YAML here, so that all understand the same."""

from drumblender.config.model import model_section
from drumblender.config.overlays import compose, is_configuration, load_config, merge
from drumblender.config.published import modernize

__all__ = ["compose", "is_configuration", "load_config", "merge", "model_section", "modernize"]
