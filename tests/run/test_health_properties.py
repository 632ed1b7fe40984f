"""Host health, properties: any two samples can be judged, and identical sound ones are healthy."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.run.health import judge
from harness.run.health.gpu import REASONS, GpuProcess, GpuSample
from harness.run.health.host import CpuSample, Host, MemorySample
from harness.run.health.kernel_log import Xid
from harness.run.health.sampling import HostSample


def later(given: HostSample, seconds: float = 100.0) -> HostSample:
    return replace(given, clock_s=given.clock_s + seconds)


counters = st.none() | st.integers(0, 2**40)
flags = st.none() | st.booleans()
names = st.sampled_from(sorted(REASONS.values()))
gpu_samples = st.builds(
    GpuSample,
    asked=st.sampled_from(["0", "1"]),
    problem=st.sampled_from(["", "", "", "lost", "NVML does not know it"]),
    uuid=st.sampled_from([None, "GPU-a", "GPU-b"]),
    bus=st.sampled_from([None, "0:3b:00", "0:86:00"]),
    reasons=st.none() | st.lists(names, unique=True).map(tuple),
    heat_ns=counters,
    power_ns=counters,
    uncorrected=counters,
    pending=flags,
    remap_failed=flags,
    processes=st.none() | st.lists(st.builds(GpuProcess, st.integers(1, 50))).map(tuple),
    mig=flags,
)
hosts = st.builds(
    Host,
    st.builds(CpuSample, counters, counters, counters, st.none() | st.floats(0, 99), counters),
    st.builds(MemorySample, counters, counters, counters),
    st.fixed_dictionaries({"cpu": st.none() | st.floats(0, 100)}),
)
samples = st.builds(
    HostSample,
    at=st.just("2026-01-01T00:00:00.000+00:00"),
    clock_s=st.floats(0, 1e6),
    pid=st.integers(100, 200),
    host=hosts,
    asked=st.booleans(),
    gpus=st.lists(gpu_samples, max_size=3).map(tuple),
    driver=st.sampled_from([None, "1", "2"]),
    nvml=st.sampled_from(["", "no driver"]),
    xids=st.none()
    | st.lists(
        st.builds(Xid, st.integers(0, 9), st.just("0:3b:00"), st.integers(1, 99), st.just(""))
    ).map(tuple),
)


@given(samples, samples)
def test_any_two_samples_can_be_judged(before: HostSample, after: HostSample) -> None:
    told = judge(before, after)
    assert len(set(told)) == len(told)
    assert all(reason and "None" not in reason for reason in told)
    json.dumps([before.to_json(), after.to_json()], allow_nan=False)


def standing(gpu: GpuSample) -> bool:
    """What is wrong with a GPU by itself, whatever has happened since."""
    slowed = {"hardware thermal slowdown", "power brake"}
    return bool(
        gpu.problem or gpu.remap_failed or gpu.processes or slowed.intersection(gpu.reasons or ())
    )


@given(samples)
def test_identical_samples_of_sound_gpus_are_healthy(one: HostSample) -> None:
    sound = {gpu.uuid: gpu for gpu in one.gpus if not standing(gpu)}
    same = replace(one, gpus=tuple(sound.values()), nvml="")
    assert judge(same, later(same)) == ()


@given(samples, st.integers(1, 2**30))
def test_an_ecc_error_is_always_sick(one: HostSample, errors: int) -> None:
    gpu = GpuSample("0", uuid="GPU-a", uncorrected=5)
    before = replace(one, gpus=(gpu,), nvml="")
    after = replace(before, gpus=(replace(gpu, uncorrected=5 + errors),))
    assert any("ECC" in reason for reason in judge(before, after))


@given(samples, hosts)
def test_the_cores_never_make_a_record_invalid(one: HostSample, other: Host) -> None:
    same = replace(one, host=replace(other, memory=one.host.memory))
    assert judge(one, same) == judge(one, one)


@given(samples, samples, st.lists(st.integers(1, 50)))
def test_owning_a_process_never_adds_a_reason(
    before: HostSample, after: HostSample, own: list[int]
) -> None:
    assert set(judge(before, after, own)) <= set(judge(before, after))
