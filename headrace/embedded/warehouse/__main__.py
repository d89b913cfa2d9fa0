"""The warehouse as a process: python -m headrace.embedded.warehouse, with its settings from the environment."""

import os
import time

if __name__ == "__main__":
    # The engine takes its time zone from the process when it is loaded. Ours is UTC, wherever the machine stands.
    os.environ["TZ"] = "UTC"
    time.tzset()
    from headrace.embedded.warehouse.server import main

    main()
