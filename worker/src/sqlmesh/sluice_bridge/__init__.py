"""The part of sluice that runs inside a project's own Python: SQLMesh behind JSON lines."""

PROTOCOL = 1
