//! Record data as plain octets (RFC 3597): the numbers of the types, and RDATA without name compression.

use super::labels::Labels;
use super::{Data, RecordType};

/// The type of a number, if it is one that is asked for here.
pub(crate) fn kind(number: u16) -> Option<RecordType> {
    RecordType::ALL.into_iter().find(|kind| kind.number() == number)
}

/// Reads the RDATA of one record, and where it leads if it is a CNAME.
pub(crate) fn read(kind: RecordType, octets: &[u8]) -> Result<(Data, Option<Labels>), String> {
    let mut rest = octets;
    let data = match kind {
        RecordType::A => Data::A(take::<4>(&mut rest)?.into()),
        RecordType::Aaaa => Data::Aaaa(take::<16>(&mut rest)?.into()),
        RecordType::Cname => {
            let target = name(&mut rest)?;
            return if rest.is_empty() { Ok((Data::Cname(target.text()), Some(target))) } else { Err(surplus(kind)) };
        }
        RecordType::Ns => Data::Ns(name(&mut rest)?.text()),
        RecordType::Ptr => Data::Ptr(name(&mut rest)?.text()),
        RecordType::Mx => {
            Data::Mx { preference: u16::from_be_bytes(take(&mut rest)?), exchange: name(&mut rest)?.text() }
        }
        RecordType::Soa => {
            let mname = name(&mut rest)?.text();
            name(&mut rest)?;
            let serial = u32::from_be_bytes(take(&mut rest)?);
            take::<12>(&mut rest)?;
            Data::Soa { mname, serial, minimum: u32::from_be_bytes(take(&mut rest)?) }
        }
        RecordType::Txt | RecordType::Spf => {
            let mut strings = Vec::new();
            while !rest.is_empty() {
                let [length] = take(&mut rest)?;
                strings.push(cut(&mut rest, length.into())?.into());
            }
            Data::Txt(strings)
        }
    };
    if rest.is_empty() { Ok((data, None)) } else { Err(surplus(kind)) }
}

fn surplus(kind: RecordType) -> String {
    format!("more octets than a record of type {kind} holds")
}

fn cut<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (octets, after) = rest.split_at_checked(length).ok_or("data that ends too early")?;
    *rest = after;
    Ok(octets)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    let (octets, after) = rest.split_first_chunk::<N>().ok_or("data that ends too early")?;
    *rest = after;
    Ok(*octets)
}

fn name(rest: &mut &[u8]) -> Result<Labels, String> {
    let mut labels = Labels::default();
    loop {
        match take(rest)? {
            [0] => return Ok(labels),
            [length] => labels.push(cut(rest, length.into())?)?,
        }
    }
}
