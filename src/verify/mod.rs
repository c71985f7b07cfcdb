//! Verifying: one result per method, in the words of RFC 8601.

pub mod dmarc;
