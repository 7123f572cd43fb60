//! Checks that concern the whole workspace: see `tests/`.
