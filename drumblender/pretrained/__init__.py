"""Models with names: what a model file holds, and where models are found.

The folders in this package are the models that it ships, as ``drumblender publish`` writes them.
"""

from drumblender.pretrained.file import Facts, is_model_file, read_facts, read_model, write_model
from drumblender.pretrained.names import KnownModel, find_model, known_models, user_folder

__all__ = [
    "Facts",
    "KnownModel",
    "find_model",
    "is_model_file",
    "known_models",
    "read_facts",
    "read_model",
    "user_folder",
    "write_model",
]
