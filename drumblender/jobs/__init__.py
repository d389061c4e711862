"""The work of ``drumblender-synth``, from audio files to audio files.

A request says what shall happen to every recording. A job says where one recording goes. A report
says what became of a job.
"""

from drumblender.jobs.pairs import plan_blend, plan_blends, plan_parts
from drumblender.jobs.plan import plan
from drumblender.jobs.request import Job, Report, Request
from drumblender.jobs.run import blend_files, resynthesize

__all__ = [
    "Job",
    "Report",
    "Request",
    "blend_files",
    "plan",
    "plan_blend",
    "plan_blends",
    "plan_parts",
    "resynthesize",
]
