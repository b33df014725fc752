"""The resource usage of a job, also on systems that report little."""

import resource
from pathlib import Path

from engine.worker.resource_usage import cpu_s, peak_memory_bytes, processor, reset_peak_memory, resource_facts


def test_the_machine_and_the_jobs_share_of_it_are_described():
    reset_peak_memory()
    facts = resource_facts(1.23456)
    assert facts.cpu_s == 1.235
    assert facts.os
    assert facts.architecture
    assert facts.memory_bytes > facts.peak_memory_bytes > 1_000_000
    assert cpu_s() > 0


def test_a_system_without_proc_still_reports_the_largest_memory(monkeypatch):
    def none(*_, **__):
        raise OSError

    for name in ("read_text", "write_text"):
        monkeypatch.setattr(Path, name, none)
    reset_peak_memory()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr("sys.platform", "linux")
    assert peak_memory_bytes() >= peak * 1024
    monkeypatch.setattr("sys.platform", "darwin")
    assert peak_memory_bytes() < peak * 1024
    processor.cache_clear()
    assert processor() is None or isinstance(processor(), str)
    processor.cache_clear()
