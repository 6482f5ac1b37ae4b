"""``python -m tests.faults run 600``: the fault campaign, from the root of the repository, on Linux."""

import argparse
import sys
import time

from tests.faults.campaign import campaign, table
from tests.faults.faults import FAULTS

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Disturbs runs of a tiny study.")
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("places", type=int, help="number of places, dealt to the kinds of fault in turn")
    parser.add_argument("--seed", type=int, default=0, help="of moments and choices (default 0)")
    parser.add_argument("--cold", action="store_true", help="start every run as users do, imports included")
    parser.add_argument("--kind", action="append", choices=list(FAULTS), help="only this kind; repeated: these")
    options = parser.parse_args()
    start = time.monotonic()
    tallies = campaign(options.places, options.seed, cold=options.cold, kinds=options.kind)
    print(table(tallies))
    places = sum(tally.places for tally in tallies.values())
    print(f"{places} places in {time.monotonic() - start:.0f} s, seed {options.seed}")
    sys.exit(any(any(tally.wrong.values()) for tally in tallies.values()))
