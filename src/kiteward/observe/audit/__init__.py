"""The audit trail: written, verified, read and exported."""
