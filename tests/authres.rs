//! Authentication-Results against hostile input: what is written reads back the same, by our reader and by the PyPI
//! package `authres` 1.2.0; forged fields are found in every spelling.

mod common;

use waxseal::{
    address::Mailbox,
    authres::{AuthResults, MethodResult, Problem, claims, read, signature_prefixes},
    name::DomainName,
};

/// A small generator (xorshift64*), so that a failing case can be run again by its number.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// What a stranger may put into HELO, an address, a tag or a reason.
    fn hostile(&mut self) -> Vec<u8> {
        const PARTS: &[&[u8]] = &[
            b"; dkim=pass",
            b"\r\n",
            b"\n",
            b"\r\n\tspf=pass",
            b"\r\nX-Evil: y",
            b"\"",
            b"\\",
            b"\\\"",
            b"(",
            b")",
            b"\0",
            b"\xff\xfe",
            "한국".as_bytes(),
            b"@",
            b"@legit.example",
            b"legit.example",
            b" ",
            b"\t",
            b"=",
            b"=?",
            b"=?utf-8?q?=22?=",
            b"?=",
            b"/",
            b"<>",
            b"[192.0.2.1]",
            b"2001:db8::1",
            b",",
            b"reason=",
            b"header.d=x",
            b"none",
            b".",
            b"..",
            b"a",
            b"bob",
            b"-",
            b"%",
            b"'",
            b"\x7f",
            b"\x0b",
        ];
        match self.below(20) {
            0 => vec![],
            1 => vec![self.below(256) as u8; 5000],
            2 => (0..5000).map(|_| self.below(256) as u8).collect(),
            3 => (0..self.below(80)).map(|_| self.below(256) as u8).collect(),
            4 => b"bob.smith@mail.example".to_vec(),
            _ => (0..self.below(9)).flat_map(|_| PARTS[self.below(PARTS.len())].to_vec()).collect(),
        }
    }

    fn field(&mut self) -> AuthResults {
        let results = (0..self.below(5)).map(|_| self.result()).collect();
        AuthResults { authserv_id: "mx.example.net".into(), results }
    }

    fn result(&mut self) -> MethodResult {
        let words = ["pass", "fail", "none", "neutral", "softfail", "policy", "temperror", "permerror"];
        let mut result = match self.below(4) {
            0 => MethodResult::new("spf", self.pick(&words)),
            1 => MethodResult::new("dmarc", self.pick(&words)),
            2 => MethodResult::new("arc", self.pick(&words)),
            _ => MethodResult::new("dkim", self.pick(&words)),
        };
        if self.below(2) == 0 {
            result = result.with_comment(&String::from_utf8_lossy(&self.hostile()));
        }
        if self.below(2) == 0 {
            result = result.with_reason(&String::from_utf8_lossy(&self.hostile()));
        }
        if self.below(3) == 0 {
            let local_part = String::from_utf8_lossy(&self.hostile()).into_owned();
            let domain = DomainName::new("sender.example").expect("a name");
            result = result.with_address("smtp", "mailfrom", &Mailbox { local_part, domain });
        }
        for _ in 0..self.below(6) {
            let (ptype, name) = [
                ("header", "d"),
                ("header", "i"),
                ("header", "s"),
                ("header", "b"),
                ("header", "from"),
                ("smtp", "helo"),
                ("smtp", "mailfrom"),
                ("policy", "dmarc"),
            ][self.below(8)];
            result = result.with_property(ptype, name, self.hostile());
        }
        result
    }
}

/// What a reader must find, one line a result: method, result, reason and properties, all in hexadecimal but the words.
fn listing(field: &AuthResults) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines = vec![field.authserv_id.clone()];
    for result in &field.results {
        let mut line =
            format!("{}={} [{}]", result.method(), result.result(), hex(result.reason().unwrap_or_default()));
        for property in result.properties() {
            line += &format!(" {}.{}={}", property.ptype, property.name, hex(&property.value));
        }
        lines.push(line);
    }
    lines.join("\n") + "\n\n"
}

#[test]
fn hostile_values_read_back_the_same_everywhere() {
    let mut random = Random(0x5eed);
    let fields: Vec<AuthResults> = (0..10_000).map(|_| random.field()).collect();
    for (number, field) in fields.iter().enumerate() {
        let want = listing(field);
        for text in [field.value(), field.field().replacen("Authentication-Results: ", "", 1), field.to_string()] {
            let (found, problems) = read(text.as_bytes());
            assert_eq!((&listing(&found), problems), (&want, vec![]), "field {number}:\n{text}");
        }
        assert_shape(&field.value());
        assert!(claims(field.value().as_bytes(), "MX.example.net"));
    }
    let written: Vec<String> = fields.iter().map(AuthResults::value).collect();
    let theirs = common::authres::read(&written);
    for (number, (field, theirs)) in fields.iter().zip(&theirs).enumerate() {
        assert_eq!(&listing(field), theirs, "field {number} as authres 1.2.0 reads it:\n{}", field.value());
    }
}

/// One field: printable ASCII, folded, no line too long, none of blanks only.
fn assert_shape(value: &str) {
    for (index, line) in value.split('\n').enumerate() {
        assert!(line.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')), "{value:?}");
        assert!(!line.trim().is_empty() && line.len() < 960, "{value:?}");
        assert!(index == 0 || line.starts_with(['\t', ' ']), "{value:?}");
        assert!(line.len() <= 78 || !line.trim().contains(' '), "could be folded: {value:?}");
    }
}

/// The value of a forged field in one of thirteen spellings.
fn forged(spelling: usize) -> String {
    let id = "mx.example.net";
    let result = "dkim=pass header.d=legit.example";
    match spelling {
        0 => format!(" {id}; {result}"),
        1 => format!(" MX.Example.Net; {result}"),
        2 => format!("\r\n\t{id};\r\n\t{result}"),
        3 => format!(" (by us (really)) {id}; {result}"),
        4 => format!(" {id} (by us); {result}"),
        5 => format!(" \"{id}\"; {result}"),
        6 => format!(" {id} 1; {result}"),
        7 => format!(" {id}.; {result}"),
        8 => format!("\t{id}\t;\t{result}"),
        9 => format!(" {id}; dkim=pass ({}) header.d=legit.example", "c".repeat(5000)),
        10 => format!(" ({}) {id}; {result}", "c".repeat(5000)),
        11 => format!(" {id}{}", format!("; {result}").repeat(40)),
        12 => format!(" {id} {result} \"broken"),
        _ => unreachable!("thirteen spellings"),
    }
}

#[test]
fn forged_fields_are_found_and_foreign_ones_stay() {
    for spelling in 0..13 {
        for copies in 1..=8 {
            let forged_value = forged(spelling);
            let foreign = forged_value.replace("mx.", "mx2.").replace("MX.", "MX2.");
            let mut header = Vec::new();
            for _ in 0..copies {
                header.extend([foreign.as_str(), forged_value.as_str()]);
            }
            let left: Vec<&str> =
                header.into_iter().filter(|value| !claims(value.as_bytes(), "mx.example.net")).collect();
            assert_eq!(left, vec![foreign.as_str(); copies], "spelling {spelling}");
        }
    }
}

#[test]
fn no_field_however_broken_stops_the_readers() {
    let mut random = Random(7);
    for _ in 0..10_000 {
        let mut value = random.field().value().into_bytes();
        for _ in 0..1 + random.below(6) {
            let at = random.below(value.len());
            match random.below(4) {
                0 => value.truncate(at + 1),
                1 => value[at] = b"\"\\();=@.\n\0\xff "[random.below(12)],
                2 => drop(value.remove(at)),
                _ => drop(value.splice(at..at, random.hostile())),
            }
            if value.is_empty() {
                value.push(b';');
            }
        }
        let (field, problems) = read(&value);
        claims(&value, "mx.example.net");
        // Whatever could be read can be written, and what was written reads back.
        let text = field.value();
        assert_shape(&text);
        let (again, more) = read(text.as_bytes());
        assert!(problems.contains(&Problem::NoAuthservId) || problems.contains(&Problem::Version) || more.is_empty());
        assert_eq!(again.value(), text);
    }
}

#[test]
fn a_whole_verdict_reads_back() {
    let b = signature_prefixes(&["dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav", "dzdVyOfA/CdLXdJOc9G2q8LoXSlEniSbav"]);
    let dkim = |result, b| {
        MethodResult::new("dkim", result)
            .with_comment("2048-bit key")
            .with_property("header", "d", "example.com")
            .with_property("header", "i", "@example.com")
            .with_property("header", "s", "ncpcompubkr")
            .with_property("header", "a", "rsa-sha256")
            .with_property("header", "b", b)
    };
    let field = AuthResults {
        authserv_id: "mx.example.net".into(),
        results: vec![
            dkim("pass", b[0]),
            dkim("fail", b[1]).with_reason("body hash did not verify"),
            MethodResult::new("spf", "softfail").with_property("smtp", "mailfrom", "bob@example.com"),
            MethodResult::new("dmarc", "pass")
                .with_property("header", "from", "example.com")
                .with_property("policy", "dmarc", "none"),
            MethodResult::new("arc", "none"),
        ],
    };
    let (found, problems) = read(&field.field().as_bytes()["Authentication-Results:".len()..]);
    assert_eq!((listing(&found), problems), (listing(&field), vec![]));
    assert_eq!(found.results[1].property("header", "b"), Some("dzdVyOfA/"));
    assert_eq!(common::authres::read(&[field.value()]), [listing(&field)]);
}
