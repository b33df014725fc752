"""Two assets for each analysis: its results table (asset key ``catalog``) and its report, a page.

Both are materialized in one run, by the Dagster job ``catalog``. See https://docs.dagster.io/guides/build/assets.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from engine.assets.materialization import asset_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.catalog_files import REPORT, TABLE, CatalogFiles
from resources.result_store.store import ResultsStore
from results_table.columns import Column, columns_of
from results_table.names import report_key_of, table_key_of

_TYPES = {"json": "string (JSON)", "time": "timestamp (UTC)", "texts": "list of string"}


def build_table_assets(
    entries: Sequence[AnalysisEntry], *, ui_url: str, dry_run: bool = False
) -> list[dg.AssetsDefinition]:
    """Return the assets of the results table and the report of each analysis.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        Each gets two assets.
    ui_url : str
        URL of Dagster's UI, for links in reports.
    dry_run : bool
        Only log what would be written (the setting ``DRY_RUN``).
    """
    tables = [_table_asset(entry, dry_run=dry_run) for entry in entries]
    return [*tables, *(_report(entry, ui_url=ui_url, dry_run=dry_run) for entry in entries)]


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """Return the column schema that Dagster shows."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name, _TYPES.get(c.kind, c.kind), description=f"{c.meaning} ({c.unit})" if c.unit else c.meaning
            )
            for c in columns
        ]
    )


def _table_asset(entry: AnalysisEntry, *, dry_run: bool) -> dg.AssetsDefinition:
    name = entry.analysis.name

    @dg.asset(
        key=table_key_of(name),
        deps=[asset_key_of(name)],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"parquet", "s3"},
        description=f"All results of `{name}` and its failed jobs as one table, one row each; see docs/results-table.md. "
        "Updated after runs; *Materialize* updates it at once.",
        metadata={"dagster/column_schema": column_schema(columns_of(entry.analysis))},
        output_required=False,
    )
    def catalog(
        context: dg.AssetExecutionContext,
        catalog_files: CatalogFiles,
        record_store: RecordStore,
        ledger: Ledger,
        results_store: ResultsStore,
    ) -> Iterator[dg.MaterializeResult[None]]:
        from resources.result_store.catalog_tables import read_catalog, write_catalog  # noqa: PLC0415
        from results_table.metadata import table_metadata  # noqa: PLC0415  tables cost every other run half a second
        from results_table.update import update_table  # noqa: PLC0415

        stored = read_catalog(catalog_files, name)
        table = None if stored is None else stored.table
        update = update_table(entry, table, records=record_store, ledger=ledger, results=results_store)
        context.log.info("%d rows; %d records read, %d results gone.", update.table.num_rows, update.read, update.gone)
        for one in update.unreadable:
            context.log.warning("The %s cannot be read and is left out; see `analysis audit %s`.", one, name)
        if dry_run:
            context.log.info("DRY_RUN is set: nothing was written.")
            return
        write_catalog(catalog_files, name, update.table)
        place, link = catalog_files.address(name, TABLE), catalog_files.browse_url(name, TABLE)
        yield dg.MaterializeResult(metadata=table_metadata(update, address=place, link=link))

    return catalog


def _report(entry: AnalysisEntry, *, ui_url: str, dry_run: bool) -> dg.AssetsDefinition:
    name = entry.analysis.name

    @dg.asset(
        key=report_key_of(name),
        deps=[table_key_of(name)],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"html", "s3"},
        description=f"The results of `{name}` at a glance: outcomes, distributions, parameter sets compared on the same "
        "inputs, failures, and results over time. One page, made from the results table.",
        output_required=False,
    )
    def report(context: dg.AssetExecutionContext, catalog_files: CatalogFiles) -> Iterator[dg.MaterializeResult[None]]:
        from resources.result_store.catalog_tables import read_catalog  # noqa: PLC0415
        from results_table.metadata import report_metadata  # noqa: PLC0415
        from results_table.report import make_report  # noqa: PLC0415  figures cost every other run a second

        stored = read_catalog(catalog_files, name)
        if stored is None:
            msg = f"No results table of {name} yet at {catalog_files.address(name)}: materialize it first (the asset `{name} / catalog`)."
            raise dg.Failure(description=msg, allow_retries=False)
        made = make_report(entry, stored.table, ui_url=ui_url)
        if dry_run:
            context.log.info("DRY_RUN is set: nothing was written.")
            return
        catalog_files.put(name, REPORT, made.html.encode(), content_type="text/html; charset=utf-8")
        place, link = catalog_files.address(name, REPORT), catalog_files.browse_url(name, REPORT)
        yield dg.MaterializeResult(metadata=report_metadata(made, address=place, link=link))

    return report
