//! The body alone: canonicalization and SHA-256 together, against SHA-256 of the same octets.

mod material;

use divan::{Bencher, counter::BytesCount};
use material::{KINDS, Kind, PIECE, body};
use sha2::{Digest, Sha256};
use waxseal::dkim::{Canon, digest::BodyHasher};

const SIZE: usize = 1024 * 1024;

fn main() {
    divan::main();
}

#[divan::bench(args = KINDS)]
fn relaxed(bencher: Bencher<'_, '_>, kind: Kind) {
    canonical(bencher, Canon::Relaxed, kind);
}

#[divan::bench(args = KINDS)]
fn simple(bencher: Bencher<'_, '_>, kind: Kind) {
    canonical(bencher, Canon::Simple, kind);
}

fn canonical(bencher: Bencher<'_, '_>, canon: Canon, kind: Kind) {
    let body = body(kind, SIZE);
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        let mut hasher = BodyHasher::new(canon, None);
        for piece in divan::black_box(&body).chunks(PIECE) {
            hasher.write(piece);
        }
        hasher.finish()
    });
}

#[divan::bench]
fn sha256(bencher: Bencher<'_, '_>) {
    let body = body(Kind::Plain, SIZE);
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        let mut hasher = Sha256::new();
        for piece in divan::black_box(&body).chunks(PIECE) {
            hasher.update(piece);
        }
        hasher.finalize()
    });
}
