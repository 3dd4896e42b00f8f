"""What every lake needs of SQLMesh: its configuration, macros, hooks and house rules."""
