//! One message signed, without a wire: the body hashed in pieces, the header canonicalised and hashed, the key used.

mod material;

use divan::Bencher;
use material::{Kind, PIECE, body, header, settings};
use std::sync::Arc;
use waxseal::{
    config::Settings,
    key::PrivateKey,
    name::DomainName,
    sign::{Plan, keys::Keys},
};

/// 2 KiB, 50 KiB, 5 MiB.
const SIZES: [usize; 3] = [2 * 1024, 50 * 1024, 5 * 1024 * 1024];
const NOW: u64 = 1_795_406_400;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn rsa(bencher: Bencher<'_, '_>, size: usize) {
    sign(bencher, "example.com", size);
}

#[divan::bench(args = SIZES)]
fn rsa_and_ed25519(bencher: Bencher<'_, '_>, size: usize) {
    sign(bencher, "example.org", size);
}

/// The bare cost of the key: an RSA-2048 signature over 2 KiB.
#[divan::bench]
fn key_alone(bencher: Bencher<'_, '_>) {
    let (_folder, _, keys) = prepare("example.com");
    let data = body(Kind::Plain, 2 * 1024);
    bencher.bench_local(|| keys[0].sign(divan::black_box(&data)));
}

fn sign(bencher: Bencher<'_, '_>, domain: &str, size: usize) {
    let (_folder, plan, keys) = prepare(domain);
    let header = header();
    let body = body(Kind::Plain, size);
    bencher.bench_local(|| {
        let mut hasher = plan.body_hasher();
        for piece in divan::black_box(&body).chunks(PIECE) {
            hasher.write(piece);
        }
        plan.sign(divan::black_box(&header), &hasher.finish(), &keys, NOW).expect("signed")
    });
}

fn prepare(domain: &str) -> (tempfile::TempDir, Plan, Vec<Arc<PrivateKey>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings: Settings = settings(folder.path(), "inet:127.0.0.1:0");
    let name = DomainName::new(domain).expect("a name");
    let domain = settings.domain_for(&name).expect("configured").clone();
    let keys = Keys::default().of(&domain, &settings.key_directory).expect("keys");
    (folder, Plan::new(&settings.signing, &domain), keys)
}
