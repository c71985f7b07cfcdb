//! The milter: the MTA's callbacks into a session, its outcome back to the MTA.
