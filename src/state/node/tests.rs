//! Leases, reservations and what becomes of them, against a small model of the ledger.
