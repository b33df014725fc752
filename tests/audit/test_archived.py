"""What people retired, and what earlier versions wrote, is no fault."""

from dataclasses import replace

import dagster as dg

from audit.audit import run_audit
from audit.repair import Repairer
from audit.sources import Depth
from tests.raw import records_of


def retire(platform, key):
    """Archive a job as the command does."""
    assert platform.services.ledger.requests.archive(platform.name, [key]) == 1
    platform.instance.delete_dynamic_partition(platform.name, key)


def test_an_archived_job_is_not_a_finding_however_deep(platform, audited, done):
    retire(platform, done[0])
    assert audited(content=True) == {}


def test_a_dagster_that_was_lost_is_rebuilt_without_what_was_retired(platform, sources, done):
    retire(platform, done[0])
    with dg.DagsterInstance.ephemeral() as empty:
        fresh = replace(sources, instance=empty)
        repairer = Repairer(fresh, who="test")
        run_audit(fresh, then=repairer.fix)
        assert empty.get_dynamic_partitions(platform.name) == [done[1]]
        assert run_audit(fresh, Depth()).by_kind() == {}


def test_an_archived_job_whose_record_is_lost_is_found(platform, audited, done):
    retire(platform, done[0])
    records_of(platform.services.records).delete_one({"analysis_assets.job_key": done[0]})
    assert audited()["done_without_record"] == 1


def test_a_record_of_an_earlier_version_is_made_searchable_and_still_is_what_its_file_says(
    platform, sources, audited, done
):
    records = records_of(platform.services.records)
    before = records.find_one({"analysis_assets.job_key": done[0]})
    without = {"analysis_assets.search": "", "analysis_assets.search_time": ""}
    records.update_one({"_id": before["_id"]}, {"$unset": without})
    assert audited(content=True) == {"not_searchable": 1}
    repairer = Repairer(sources, who="test")
    run_audit(sources, then=repairer.fix)
    assert dict(repairer.repaired) == {"not_searchable": 1}
    assert records.find_one({"_id": before["_id"]}) == before
    assert audited(content=True) == {}
