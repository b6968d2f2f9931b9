"""Front: the program `payonce`, also as `python -m payonce`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; it ends the process with its exit code."""
    from payonce.cli import main as command_line

    command_line(prog_name="payonce")


if __name__ == "__main__":
    main()
