//! One event per message.
