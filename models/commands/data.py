"""`minigrad data`: the texts there are to train on, and fetching one before it is needed."""

import argparse

from models.text import corpora
from models.text.files import DataError


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad data list | fetch NAME | path NAME`. Raises DataError for what a user can put right."""
    parser = argparse.ArgumentParser(prog="minigrad data", description="The texts there are to train on.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{list,fetch,path}")
    commands.add_parser("list", help="show the corpora")
    for command, does in (
        ("fetch", "fetch a corpus into the cache"),
        ("path", "print where a fetched corpus lies, for other programs to read"),
    ):
        commands.add_parser(command, help=does).add_argument("name", help="a corpus of `minigrad data list`")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        return _list()
    corpus = corpora.get(arguments.name)
    return _fetch(corpus) if arguments.command == "fetch" else _path(corpus)


def _list() -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("characters", justify="right")
    table.add_column("what it is; licence; source", overflow="fold")
    table.add_column("fetched")
    for corpus in corpora.CORPORA:
        table.add_row(
            corpus.name + (" (default)" if corpus.name == corpora.DEFAULT else ""),
            f"{corpus.characters:,}" if corpus.characters else "",
            f"{corpus.description}\n[dim]{corpus.licence}; {corpus.source or 'made on the spot'}[/dim]",
            "yes" if corpus.source is None or corpus.path.is_file() else "no",
        )
    Console().print(table)
    return 0


def _fetch(corpus: corpora.Corpus) -> int:
    path = corpus.fetch()
    text = corpus.text()
    print(f"{path}: {len(text):,} characters, {len(set(text))} different ones")
    return 0


def _path(corpus: corpora.Corpus) -> int:
    if not corpus.path.is_file():
        raise DataError(f"{corpus.name} is not in the cache yet: run `minigrad data fetch {corpus.name}` first")
    print(corpus.path)
    return 0
