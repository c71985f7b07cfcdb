//! The program behind `tests/long/milter-packets`: random sequences of packets against the milter, as many as are asked
//! for.
//!
//! Arguments: how many sequences (100,000 by default) and the seed. Panics at the first that hurts anybody.

#[path = "../common/mod.rs"]
mod common;

use common::{
    hostile::{Victim, random},
    mail::Random,
};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let count: u64 = numbers.next().unwrap_or(100_000);
    let seed = numbers.next().unwrap_or(1);
    let victim = Victim::start();
    let mut source = Random::new(seed);
    let (mut answered, mut octets) = (0, 0);
    for number in 0..count {
        let bystander = (number % 100 == 0).then(|| victim.bystander());
        let sequence = random(&mut source);
        let size = [1 << 20, 1 << 20, 7, 64][source.below(4)];
        octets += sequence.len();
        answered += u64::from(!victim.attack(&sequence, size).is_empty());
        bystander.into_iter().for_each(|bystander| bystander.finish());
    }
    victim.is_unhurt();
    victim.stop();
    println!("seed {seed}: {count} sequences, {octets} octets, {answered} answered, nobody hurt");
}
