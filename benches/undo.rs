//! The search for what changed a body, at its dearest: nothing fits, and all of the budget may be spent.

mod material;

use divan::Bencher;
use material::{Kind, body};
use waxseal::{diagnose::undo, message::Message};

fn main() {
    divan::main();
}

/// Bodies that are hard in their own way.
#[derive(Clone, Copy, Debug)]
enum Hard {
    /// 10 MB of text.
    Large,
    /// 100,000 short lines.
    Lines,
    /// Multiparts within multiparts.
    Nested,
    /// An HTML text of nothing but tags.
    Tags,
    /// HTML in quoted-printable, which has many ways to be written.
    Quoted,
    /// Korean text, which has many charsets.
    Korean,
    /// Blanks that the canonical form reduces, in every line.
    Blanks,
}

const ALL: [Hard; 7] = [Hard::Large, Hard::Lines, Hard::Nested, Hard::Tags, Hard::Quoted, Hard::Korean, Hard::Blanks];

#[divan::bench(args = ALL, sample_count = 5, sample_size = 1)]
fn nothing_fits(bencher: Bencher<'_, '_>, hard: Hard) {
    let mail = mail(hard);
    let message = Message::new(&mail);
    bencher.bench_local(|| undo::search_body(&message.header, divan::black_box(message.body), [0; 32]));
}

fn mail(hard: Hard) -> Vec<u8> {
    let mut mail = b"From: a@example.com\r\nContent-Type: ".to_vec();
    match hard {
        Hard::Large => {
            mail.extend_from_slice(b"text/plain\r\n\r\n");
            mail.extend(body(Kind::Plain, 10_000_000));
        }
        Hard::Lines => {
            mail.extend_from_slice(b"text/plain\r\n\r\n");
            (0..100_000).for_each(|line| mail.extend(format!("line {line}\r\n").bytes()));
        }
        Hard::Nested => {
            mail.extend_from_slice(b"multipart/mixed; boundary=b0\r\n\r\n");
            for level in 0..20_000 {
                let header = format!("--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", level + 1);
                mail.extend(header.bytes());
            }
        }
        Hard::Quoted => {
            mail.extend_from_slice(b"text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
            (0..2000).for_each(|_| mail.extend_from_slice(b"<p>Gr=C3=BC=C3=9Fe, und noch mehr Text darin</p>\r\n"));
        }
        Hard::Korean => {
            mail.extend_from_slice(b"text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
            (0..4000).for_each(|_| mail.extend("\u{c548}\u{b155}\u{d558}\u{c138}\u{c694}, 11\u{c6d4}\r\n".bytes()));
        }
        Hard::Blanks => {
            mail.extend_from_slice(b"text/plain\r\n\r\n");
            (0..1_000_000).for_each(|_| mail.extend_from_slice(b"\r\n "));
        }
        Hard::Tags => {
            mail.extend_from_slice(b"text/html\r\n\r\n<body>");
            (0..200_000).for_each(|_| mail.extend_from_slice(b"<b>x</b>"));
        }
    }
    mail
}
