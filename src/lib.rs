//! Waxseal: a milter for Postfix that signs, verifies, and says why authentication failed.
//!
//! # The way of a message
//!
//! The MTA's callbacks (`milter`) fill a `Session`: the client, the envelope and the header fields as raw bytes.
//! At the end of the header `milter::route` decides once: sign, verify, or pass and why.
//! The body is never kept: each chunk goes through the hashers of `dkim::digest` as it arrives.
//! At the end of the message `sign` writes DKIM-Signature fields, or `verify` gives one result per method,
//! and the outcome becomes edits for the MTA and one event.
//!
//! # The floors
//!
//! ```text
//! 5  main
//! 4  cli  milter  http
//! 3  event  diagnose  inquire  watch
//! 2  sign  signed  verify  authres
//! 1  config  key  dns  provider  clock
//! 0  message  address  name  received  dkim  spf
//! ```
//!
//! A file uses its own floor sparingly and lower floors freely, never a higher one; `tests/architecture.rs` holds this.
//! Floor 0 does no I/O, reads no clock and is not async: bytes in, values out, and time is an argument.
//! Only `milter` knows indymilter, only `dns` knows hickory (and the demo's name server), and nothing signs with the
//! `rsa` crate (RUSTSEC-2023-0071).
//!
//! # Words
//!
//! `§` without a number of an RFC means RFC 6376.
//! Reading what came from outside never fails as a whole: it gives a value and its problems.
//! *Mistakes* are the operator's (exit status 2), *faults* are the world's (temperror, tempfail),
//! and what is wrong with mail is neither: it is a result.

pub mod address;
pub mod authres;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnose;
pub mod dkim;
pub mod dns;
pub mod event;
pub mod http;
pub mod inquire;
pub mod key;
pub mod message;
pub mod milter;
pub mod name;
pub mod provider;
pub mod received;
pub mod sign;
pub mod signed;
pub mod spf;
pub mod verify;
pub mod watch;
