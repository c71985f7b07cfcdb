//! Messages of every odd shape that Postfix lets through, made from a seed: the same seed gives the same octets.

use std::fmt::Write as _;

/// How a message is handed to Postfix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// By SMTP.
    #[default]
    Smtp,
    /// By sendmail(1).
    Sendmail,
    /// By SMTP to a recipient that the sink refuses: what arrives is Postfix's bounce of it.
    Bounce,
}

/// A message, its envelope, and where to look for it.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// Its kind and number: `folded-12`.
    pub name: String,
    /// What is odd about it.
    pub kind: &'static str,
    /// How it is handed over.
    pub way: Way,
    /// The envelope sender.
    pub mail_from: String,
    /// The recipient that it is sent to.
    pub rcpt_to: String,
    /// The recipient under which it arrives.
    pub arrives_for: String,
    /// Does its envelope need SMTPUTF8?
    pub utf8: bool,
    /// The octets, lines ending in CRLF.
    pub bytes: Vec<u8>,
}

/// Numbers that look random and never change: splitmix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).expect("a small number")).expect("below limit")
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

type Make = fn(&mut Random, &Start) -> Vec<u8>;

/// Every kind that goes by SMTP, with its maker.
const KINDS: &[(&str, Make)] = &[
    ("plain", plain),
    ("multipart", multipart),
    ("eightbit", eightbit),
    ("latin1", latin1),
    ("empty-body", empty_body),
    ("no-separator", no_separator),
    ("blank-body", blank_body),
    ("trailing-blank", trailing_blank),
    ("trailing-whitespace", trailing_whitespace),
    ("inner-whitespace", inner_whitespace),
    ("long-line", long_line),
    ("folded", folded),
    ("odd-folds", odd_folds),
    ("eightbit-header", eightbit_header),
    ("duplicate-fields", duplicate_fields),
    ("no-space", no_space),
    ("empty-values", empty_values),
    ("tabs", tabs),
    ("case", case),
    ("space-before-colon", space_before_colon),
    ("bare-cr", bare_cr),
    ("controls", controls),
    ("form-feed", form_feed),
    ("dots", dots),
    ("long-header", long_header),
    ("from-comments", from_comments),
    ("list", list),
    ("encoded", encoded),
    ("bare-minimum", bare_minimum),
    ("nested", nested),
];

/// `count` messages from addresses in `domain`, of every kind in turn; exactly one has 10 MB.
pub fn messages(seed: u64, count: usize, domain: &str) -> Vec<Mail> {
    let mut random = Random::new(seed);
    (0..count).map(|number| message(&mut random, number, domain)).collect()
}

/// The message with this number.
fn message(random: &mut Random, number: usize, domain: &str) -> Mail {
    let slot = number % (KINDS.len() + 4);
    let smtp = |kind, make: Make| (kind, Way::Smtp, false, make);
    let (kind, way, utf8, make) = match slot.checked_sub(KINDS.len()) {
        None => smtp(KINDS[slot].0, KINDS[slot].1),
        Some(0) => ("utf8-address", Way::Smtp, true, utf8_address as Make),
        Some(1) => ("sendmail", Way::Sendmail, false, plain as Make),
        Some(2) => ("bounce", Way::Bounce, false, multipart as Make),
        Some(_) if number == KINDS.len() + 3 => smtp("ten-megabytes", ten_megabytes),
        Some(_) => smtp("plain", plain),
    };
    let name = format!("{kind}-{number}");
    let local = if utf8 { format!("почта-{number}") } else { name.clone() };
    let mail_from = format!("{local}@{domain}");
    let start = Start { name: name.clone(), from: mail_from.clone() };
    let bytes = make(random, &start);
    let (rcpt_to, arrives_for) = match way {
        Way::Bounce => (format!("refuse-{number}@sink.example"), mail_from.clone()),
        Way::Smtp | Way::Sendmail => (format!("{name}@sink.example"), format!("{name}@sink.example")),
    };
    Mail { name, kind, way, mail_from, rcpt_to, arrives_for, utf8, bytes }
}

/// What a maker needs to know.
struct Start {
    name: String,
    from: String,
}

impl Start {
    /// The fields of ordinary mail, with this Subject and these further lines, and the empty line.
    fn header(&self, subject: &str, further: &str) -> Vec<u8> {
        format!(
            "From: Sender <{from}>\r\nTo: Reader <{name}@sink.example>\r\nCc: <copy@sink.example>\r\n\
             Subject: {subject}\r\nDate: Mon, 23 Nov 2026 09:00:00 +0900\r\nMessage-ID: <{name}@mail.example.com>\r\n\
             {further}\r\n",
            from = self.from,
            name = self.name,
        )
        .into_bytes()
    }
}

fn words(random: &mut Random, count: usize) -> String {
    const WORDS: [&str; 12] = [
        "seal", "wax", "letter", "harbour", "lantern", "invoice", "region", "selector", "morning", "paper", "ink",
        "road",
    ];
    (0..count).map(|_| random.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

/// Some lines of text.
fn text(random: &mut Random) -> String {
    let lines = 1 + random.below(12);
    (0..lines)
        .map(|_| {
            let count = 1 + random.below(11);
            words(random, count) + "\r\n"
        })
        .collect()
}

fn join(mut header: Vec<u8>, body: impl AsRef<[u8]>) -> Vec<u8> {
    header.extend_from_slice(body.as_ref());
    header
}

fn plain(random: &mut Random, start: &Start) -> Vec<u8> {
    join(start.header(&words(random, 4), ""), text(random))
}

fn multipart(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"=_part\"\r\n";
    let body = format!(
        "This is a message in MIME format.\r\n\r\n--=_part\r\nContent-Type: text/plain\r\n\r\n{}\r\n--=_part\r\n\
         Content-Type: text/html\r\n\r\n<p>{}</p>  \r\n\r\n--=_part--\r\n",
        text(random),
        words(random, 9)
    );
    join(start.header(&words(random, 3), further), body)
}

fn eightbit(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let body = format!("안녕하세요, {}\r\nGrüße aus Köln — {}\r\n", words(random, 3), words(random, 5));
    join(start.header("eight bits", further), body)
}

fn latin1(random: &mut Random, start: &Start) -> Vec<u8> {
    let further =
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n";
    let mut body = Vec::new();
    for _ in 0..1 + random.below(6) {
        body.extend((0..1 + random.below(70)).map(|_| 0xa0 + u8::try_from(random.below(0x60)).expect("below 0x60")));
        body.extend_from_slice(b" end\r\n");
    }
    join(start.header("latin", further), body)
}

fn empty_body(_: &mut Random, start: &Start) -> Vec<u8> {
    start.header("nothing follows", "")
}

fn no_separator(_: &mut Random, start: &Start) -> Vec<u8> {
    let mut bytes = start.header("not even an empty line", "");
    bytes.truncate(bytes.len() - 2);
    bytes
}

fn blank_body(random: &mut Random, start: &Start) -> Vec<u8> {
    join(start.header("only blank lines", ""), "\r\n".repeat(1 + random.below(5)))
}

fn trailing_blank(random: &mut Random, start: &Start) -> Vec<u8> {
    let body = text(random) + &"\r\n".repeat(1 + random.below(40));
    join(start.header("blank lines at the end", ""), body)
}

fn trailing_whitespace(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut body = if random.below(3) == 0 { String::new() } else { text(random) };
    for _ in 0..1 + random.below(6) {
        body += random.pick(&[" \r\n", "\t\r\n", " \t \r\n", "\r\n", "   \r\n"]);
    }
    join(start.header("blanks at the end", ""), body)
}

fn inner_whitespace(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut body = String::new();
    for _ in 0..1 + random.below(20) {
        for _ in 0..random.below(6) {
            body += random.pick(&[" ", "\t", "  ", " \t ", "word", "x", "."]);
        }
        body += "\r\n";
    }
    join(start.header("  blanks \t everywhere  ", ""), body)
}

fn long_line(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut body = text(random);
    while body.len() < 20_000 {
        body += random.pick(&["word ", "longer-word", " ", "\t", "x"]);
    }
    body += "\r\n";
    join(start.header("a line of 20,000 characters", ""), body + &text(random))
}

fn ten_megabytes(random: &mut Random, start: &Start) -> Vec<u8> {
    let line = words(random, 11) + " \t \r\n";
    let count = 10_000_000 / line.len() + 1;
    join(start.header("ten megabytes", ""), line.repeat(count))
}

fn folded(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut further = String::from("References:");
    for number in 0..2 + random.below(20) {
        let blank = random.pick(&[" ", "\t", "  ", "\t\t"]);
        write!(further, "\r\n{blank}<{number}.{}@mail.example.com>", random.next()).expect("a string takes every text");
    }
    further += "\r\nReply-To:\r\n \"Reply, To\"\r\n\t<reply@example.com>\r\nKeywords: one,\r\n two  ,\r\n\tthree\t\r\n";
    join(start.header("a subject\r\n that is\r\n\tfolded  twice", &further), text(random))
}

fn odd_folds(random: &mut Random, start: &Start) -> Vec<u8> {
    let further =
        "Comments: blanks at the end \t \r\n and again \t\r\n\t \t next\r\nIn-Reply-To:\r\n <a@example.com>\r\n";
    join(start.header("\r\n starts on the second line", further), text(random))
}

fn eightbit_header(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut bytes = start.header(&format!("raw UTF-8: 안내 {}", words(random, 2)), "X-Raw: caf");
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"\xe9 and \xff\x80 bytes\r\n\r\n");
    join(bytes, text(random))
}

fn duplicate_fields(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "Subject: a second subject\r\nTo: another@sink.example\r\nCc: more@sink.example\r\n\
                   Reply-To: one@example.com\r\nReply-To: two@example.com\r\nX-Same: 1\r\nX-Same: 1\r\n\
                   Date: Mon, 23 Nov 2026 10:00:00 +0900\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n";
    join(start.header("the first subject", further), text(random))
}

fn no_space(random: &mut Random, start: &Start) -> Vec<u8> {
    let header = format!(
        "From:{}\r\nTo:{}@sink.example\r\nSubject:no space\r\nDate:Mon, 23 Nov 2026 09:00:00 +0900\r\n\
         Message-ID:<{}@mail.example.com>\r\nMIME-Version:1.0\r\nContent-Type:text/plain\r\n\r\n",
        start.from, start.name, start.name
    );
    join(header.into_bytes(), text(random))
}

fn empty_values(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "Reply-To:\r\nComments: \r\nKeywords:\t\r\nX-Empty:\r\nIn-Reply-To:\r\n \r\n";
    join(start.header("", further), text(random))
}

fn tabs(random: &mut Random, start: &Start) -> Vec<u8> {
    let header = format!(
        "From:\t{}\r\nTo:\t\t{}@sink.example\t\r\nSubject:\ta\tb\t\tc\r\nDate: \tMon, 23 Nov 2026 09:00:00 +0900\r\n\
         Message-ID: <{}@mail.example.com>\t \r\n\r\n",
        start.from, start.name, start.name
    );
    join(header.into_bytes(), text(random))
}

fn case(random: &mut Random, start: &Start) -> Vec<u8> {
    let header = format!(
        "FROM: {}\r\ntO: {}@sink.example\r\nsUBJECT: Case\r\ndate: Mon, 23 Nov 2026 09:00:00 +0900\r\n\
         message-id: <{}@mail.example.com>\r\nMime-version: 1.0\r\n\r\n",
        start.from, start.name, start.name
    );
    join(header.into_bytes(), text(random))
}

fn space_before_colon(random: &mut Random, start: &Start) -> Vec<u8> {
    let further =
        "Comments : blank before the colon\r\nKeywords\t: tab before the colon\r\nReply-To  :x@example.com\r\n";
    join(start.header("blanks before colons", further), text(random))
}

fn bare_cr(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut body = text(random);
    body += random.pick(&["a\rb\r\n", "\r\r\n", "\rstart\r\n", "end\r\r\n", "a\r \r\n"]);
    join(start.header("a CR alone", ""), body + &text(random))
}

fn controls(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut bytes = start.header("bell \x07, escape \x1b[31m and delete \x7f", "Comments:\x01starts so\x02\r\n");
    bytes.extend_from_slice(b"form feed \x0c\r\n\x0c\r\n\x01\x02 \x7f\x1b[31m\r\n \x0b \r\n");
    join(bytes, text(random))
}

fn form_feed(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "Comments:\x0cstarts so\x0c\r\nKeywords: a \x0b b\r\n";
    join(start.header("form feed \x0c and \x0b vertical tab", further), text(random))
}

fn dots(random: &mut Random, start: &Start) -> Vec<u8> {
    let body = ".\r\n..\r\n...three\r\n.one\r\n . \r\nend.\r\n.\r\n";
    join(start.header(".dots", ""), body.to_string() + &text(random) + ".\r\n")
}

fn long_header(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut further = String::from("References:");
    while further.len() < 40_000 {
        write!(further, "\r\n <{:x}@mail.example.com>", random.next()).expect("a string takes every text");
    }
    // One unfolded line, longer than any line that SMTP allows.
    further += "\r\nKeywords: ";
    further += &words(random, 1_500);
    further += "\r\n";
    join(start.header(&words(random, 300), &further), text(random))
}

fn from_comments(random: &mut Random, start: &Start) -> Vec<u8> {
    let from = &start.from;
    let value = match random.below(5) {
        0 => format!("(a comment) \"Last, First\" <{from}> (other@example.net)"),
        1 => format!("{from} (Sender (nested) at example.net)"),
        2 => format!("=?utf-8?B?7JWI64K0?= =?utf-8?Q?_=3Cx=40example.net=3E?= <{from}>"),
        3 => format!("\"<quoted@example.net>\" <{from}>"),
        _ => format!("\"a \\\" quote\"\r\n (fold)\r\n <{from}>"),
    };
    let header = format!(
        "Received: from a (b [192.0.2.1])\r\n\tby c; Mon, 23 Nov 2026 08:00:00 +0900\r\nFrom: {value}\r\n\
         To: {name}@sink.example\r\nSubject: who\r\nDate: Mon, 23 Nov 2026 09:00:00 +0900\r\n\
         Message-ID: <{name}@mail.example.com>\r\n\r\n",
        name = start.name
    );
    join(header.into_bytes(), text(random))
}

fn list(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "List-Unsubscribe: <https://example.com/u?x=1>,\r\n <mailto:u@example.com>\r\n\
                   List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: News <news.example.com>\r\n\
                   Precedence: bulk\r\nSender: <news@example.com>\r\nResent-From: <again@example.com>\r\n";
    join(start.header("news", further), text(random))
}

fn encoded(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: quoted-printable\r\nContent-Language: ko\r\nContent-ID: <1@example.com>\r\n";
    let body = format!("=EC=95=88=EB=82=B4 {}=\r\n soft break =3D  =20\r\n", words(random, 6));
    join(start.header("=?utf-8?B?7JWI64K0?=\r\n =?utf-8?Q?_second?=", further), body)
}

fn bare_minimum(random: &mut Random, start: &Start) -> Vec<u8> {
    join(format!("From: {}\r\n\r\n", start.from).into_bytes(), text(random))
}

fn nested(random: &mut Random, start: &Start) -> Vec<u8> {
    let further = "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n";
    let body = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=From; bh=AAAA; b=AAAA\r\nFrom: inner@example.net\r\n\
         Subject: inside\r\n\r\nFrom here on\r\n{}",
        text(random)
    );
    join(start.header("a message inside", further), body)
}

fn utf8_address(random: &mut Random, start: &Start) -> Vec<u8> {
    let mut bytes = start.header(&format!("제목 {}", words(random, 2)), "Reply-To: 답장 <답장@example.com>\r\n");
    bytes.extend_from_slice("본문\r\n".as_bytes());
    join(bytes, text(random))
}
