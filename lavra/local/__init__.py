"""The whole lake on this machine: `lavra up`, `down`, `doctor`, `status`."""
