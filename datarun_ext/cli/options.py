"""``datarun options``: the table of configuration options that the documentation shows too."""

from __future__ import annotations

import click

from datarun_ext.config import OptionDoc, option_docs


def as_markdown(rows: list[OptionDoc]) -> str:
    """Return the table of options as Markdown."""
    lines = ["| Option | Environment variables | Default | Meaning |", "|---|---|---|---|"]
    for row in rows:
        variables = ", ".join(f"`{name}`" for name in row.variables)
        default = f"`{row.default}`" if row.default else "–"
        text = row.help.replace("|", "\\|")
        lines.append(f"| `c.DatarunApp.{row.name}` | {variables} | {default} | {text} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--markdown", is_flag=True, help="As a Markdown table.")
def options(markdown: bool) -> None:
    """Show every configuration option.

    Each is set in `jupyter_server_config.py`, on the command line of the server as
    `--DatarunApp.NAME=VALUE`, or by one of its environment variables (the first that is set).
    """
    rows = list(option_docs())
    if markdown:
        click.echo(as_markdown(rows), nl=False)
        return
    formatter = click.HelpFormatter(width=100)
    for row in rows:
        default = f" [default: {row.default}]" if row.default else ""
        formatter.write_text(f"{row.name}  ({', '.join(row.variables)})")
        with formatter.indentation():
            formatter.write_text(row.help.replace("`", "") + default)
    click.echo(formatter.getvalue(), nl=False)
