//! What we signed, in digests: so that a copy that comes back shows exactly what changed on its way.
//!
//! Of a signed message whose domain asks for it (`diagnostics = "record"`), each word of each signed field and each line of
//! the body becomes a few octets of an HMAC, under a key that is drawn for the message from a local one ([`digests`]). So
//! the record tells nobody what was said, not even that two messages say the same; but who holds a copy and the key can
//! tell word by word and line by line what is as it was ([`compare`]).
//!
//! Digests are made while the body streams, within bounds for one message and for all together, and are written by a thread
//! of their own ([`recorder`]) to files of at most an hour each ([`folder`]), which go as a whole when they are old or too
//! many. Mail never waits: what cannot be recorded is left out, and the log says so.

pub mod compare;
pub mod digests;
mod entry;
pub mod folder;
pub mod recorder;

pub use entry::{Entry, SignedField};

/// A digest of a line or of a field: among a hundred thousand lines, two differ with all but one in 2⁴⁷.
pub type Digest = [u8; 8];

/// A digest of a word of a field.
pub type WordDigest = [u8; 4];

/// By what a message is found again: the digest of one of its signatures, or of its Message-ID.
pub type Id = [u8; 16];
