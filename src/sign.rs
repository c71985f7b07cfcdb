//! Signing: choose keys and fields, write DKIM-Signature.
