//! Authentication-Results (RFC 8601): ours written, forged ones found.
