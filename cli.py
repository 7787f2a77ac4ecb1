"""The command line: how does a person start and use Tiro from a terminal?"""


def main() -> int:
    """Run the `tiro` command and return its exit status."""
    raise SystemExit("tiro: the command line is not built yet")
