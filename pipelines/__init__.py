"""Where and when the method runs: everything that knows Ray."""
