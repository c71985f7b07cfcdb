//! A signature, as DKIM and as ARC write them: what is readable has all that a verification needs.

use waxseal::dkim::{
    signature::{Form, Signature},
    tag::TagList,
};

/// Reads the input as the value of each kind of field that is signed.
pub fn run(data: &[u8]) {
    let list = TagList::read(data);
    for form in [Form::Dkim, Form::ArcMessage, Form::ArcSeal] {
        let signature = Signature::read_list(&list, form);
        if signature.is_readable() {
            assert!(signature.domain.is_some() && signature.selector.is_some() && signature.algorithm.is_some());
            assert!(signature.signature.as_ref().is_some_and(|octets| !octets.is_empty()));
            assert!(form == Form::ArcSeal || signature.body_hash.as_ref().is_some_and(|hash| hash.len() == 32));
            assert!(form != Form::Dkim || signature.fields.iter().any(|name| name.eq_ignore_ascii_case("from")));
            let name = signature.key_name().expect("it has a domain and a selector");
            assert!(name.is_ascii() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        }
        if let Some(range) = &signature.signature_range {
            assert!(range.start <= range.end && range.end <= data.len());
        }
        assert!(signature.problems.iter().all(|problem| !problem.to_string().is_empty()));
    }
    assert_eq!(Signature::read(data), Signature::read_list(&list, Form::Dkim));
}
