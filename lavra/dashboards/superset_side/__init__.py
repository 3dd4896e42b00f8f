"""What runs inside Superset's own environment: it may import Superset, and nothing of Lavra.

``lavra/dashboards`` starts these files with that environment's Python and tells them all they
need in one JSON file, whose path is the only environment variable of theirs.
"""
