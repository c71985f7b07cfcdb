//! SPF records (RFC 7208) as published: terms with their places, readable or not.
