//! The mailboxes of a From field (RFC 5322), read strictly.
