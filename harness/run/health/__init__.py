"""Whether the host was fit for a cell: a sample before it, one after, and what they say."""

from harness.run.health.judging import judge
from harness.run.health.library import GpuHere, Nvml, gpus_here, nvml
from harness.run.health.sampling import HostSample, sample

__all__ = ["GpuHere", "HostSample", "Nvml", "gpus_here", "judge", "nvml", "sample"]
