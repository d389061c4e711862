"""From audio files to audio files: what ``drumblender-synth`` does.

A request says what shall happen to every recording; a job is a recording and where it goes; a
report is what became of it.
"""

from drumblender.jobs.plan import plan
from drumblender.jobs.request import Job, Report, Request
from drumblender.jobs.run import blend_files, resynthesize

__all__ = ["Job", "Report", "Request", "blend_files", "plan", "resynthesize"]
