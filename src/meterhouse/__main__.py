"""`python -m meterhouse` is the same as `meterhouse`."""

from meterhouse.cli import main

if __name__ == "__main__":
    main()
