//! Private keys: load, check, generate, and the record to publish.
