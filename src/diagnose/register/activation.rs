//! Causes: nobody signs, or the provider is not told to.

causes! {
    Activation;

    /// The sending service is not told to sign, although the key is published: the mail comes from it without a signature.
    ///
    /// # Why it fails
    /// A published key changes nothing until the service verifies it and signing is enabled for the domain. Until then
    /// mail leaves unsigned.
    /// # How it comes about
    /// The domain was registered and the record published, but [Authenticate] was not pressed, or [Enable] after it; or
    /// somebody disabled signing. From outside the two look the same.
    /// # What to do
    /// Open Domain Management, see that DKIM has an authentication date (press [Authenticate] if not), then press
    /// [Enable] until the button shows [Disable].
    /// # Not this
    /// A token or SPF record that the service demands first and does not find is provider-prerequisite-incomplete. Mail
    /// that did not come from the service is dkim-no-signature.
    NOT_ACTIVATED = "dkim-not-activated", Activation, Error, "signing is not enabled at the provider",
        seed [18..=20, 64..=66], see [];

    /// What the provider demands before it signs is not in place: the domain's token, or the SPF include.
    ///
    /// # Why it fails
    /// The service authenticates DKIM only after it has seen the token and the SPF record. Until then it does not sign,
    /// however right the key record is.
    /// # How it comes about
    /// Only the DKIM record was published, or the token or the SPF record was removed after the set-up.
    /// # What to do
    /// Publish the token and the SPF record, press [Authenticate] for each, then for DKIM, then [Enable].
    /// # Not this
    /// A signature that is there and fails has another cause: receivers need no SPF to verify DKIM.
    PREREQUISITE_INCOMPLETE = "provider-prerequisite-incomplete", Activation, Error,
        "the provider's prerequisites are incomplete", seed [7..=9, 27..=27, 30..=31, 70..=71, 74..=74], see [];

    /// The token that proves to the provider whose the domain is does not stand in DNS.
    ///
    /// # Why it fails
    /// The provider regards the domain as unproven and neither authenticates nor enables DKIM for it.
    /// # How it comes about
    /// It was never published, stands at another name (`www`, `_domainkey`, the name doubled), was glued to the SPF
    /// record, or belongs to an older registration.
    /// # What to do
    /// Publish the token as a TXT record of its own at the domain itself, exactly as the console shows it.
    /// # Not this
    /// Without a token to compare with nothing can be said: its form is not documented.
    TOKEN_MISSING = "provider-domain-token-missing", Activation, Error, "the provider's domain token is not in DNS",
        seed [7..=8, 27..=27, 30..=31], see [];

    /// The message has no DKIM-Signature.
    ///
    /// # Why it fails
    /// Without a signature only SPF can authenticate the author's domain, and SPF does not survive forwarding.
    /// # How it comes about
    /// The sending host does not sign, or not this kind of mail: in Postfix, mail of local programs needs
    /// `non_smtpd_milters`, and bounces need `internal_mail_filter_classes = bounce`. Or a relay removed the signature.
    /// # What to do
    /// Sign where the mail leaves: configure the domain at the signer, and see in its log why it let the message pass.
    /// # Not this
    /// A provider that would sign if it were enabled is dkim-not-activated.
    NO_SIGNATURE = "dkim-no-signature", Activation, Error, "the message is not signed", seed [18..=20],
        see ["RFC 6376 §6.1"];
}
