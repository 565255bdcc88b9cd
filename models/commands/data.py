"""`minigrad data`: the texts and labelled data there are, and fetching one before it is needed."""

import argparse
from collections.abc import Sequence

from models.errors import DataError
from models.text.sources import corpora, datasets
from models.text.sources.resources import Resource, find

TABLES: dict[str, Sequence[Resource]] = {
    "texts": corpora.CORPORA,
    "labelled texts": datasets.DATASETS,
    "word vector tests": datasets.WORD_SETS,
}


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad data list | fetch NAME | path NAME`. Raises DataError for what a user can put right."""
    parser = argparse.ArgumentParser(prog="minigrad data", description="The texts there are to train on.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{list,fetch,path}")
    commands.add_parser("list", help="show the corpora and data sets")
    for command, does in (
        ("fetch", "fetch a corpus or data set into the cache"),
        ("path", "print where a fetched one lies, for other programs to read"),
    ):
        commands.add_parser(command, help=does).add_argument("name", help="a name of `minigrad data list`")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        return _list()
    everything = [resource for table in TABLES.values() for resource in table]
    resource = find(everything, arguments.name, "no corpus or data set")
    return _fetch(resource) if arguments.command == "fetch" else _path(resource)


def _list() -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is; size; licence; source", overflow="fold")
    table.add_column("fetched")
    for title, resources in TABLES.items():
        table.add_row(f"[bold]{title}[/bold]")
        for resource in resources:
            facts = "; ".join(
                filter(None, [resource.size, resource.licence, str(resource.source or "made on the spot")])
            )
            table.add_row(
                resource.name + (" (default)" if resource.name == corpora.DEFAULT else ""),
                f"{resource.description}\n[dim]{facts}[/dim]",
                "yes" if resource.fetched else "no",
            )
    Console().print(table)
    return 0


def _fetch(resource: Resource) -> int:
    path = resource.fetch()
    text = resource.text()
    print(f"{path}: {resource.size or f'{len(text):,} characters'}, {len(set(text))} different characters")
    return 0


def _path(resource: Resource) -> int:
    if not resource.path.is_file():
        raise DataError(f"{resource.name} is not in the cache yet: run `minigrad data fetch {resource.name}` first")
    print(resource.path)
    return 0
