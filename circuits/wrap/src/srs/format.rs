//! The ecosystem's files. Both hold points as Montgomery limbs, least significant byte first.

use std::io::{Cursor, Read as _};

use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Fq, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::{Field as _, PrimeField as _};
use halo2_proofs::halo2curves::serde::SerdeObject;

use super::{Powers, SrsError};

const PTAU: &[u8; 4] = b"ptau";
const HEADER: u32 = 1;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
/// More rows than any circuit here has, fewer than would overflow a size.
const MAX_K: u32 = 28;
const G1_BYTES: usize = 64;
const G2_BYTES: usize = 128;

/// The first 2^k powers that a file holds; unchecked but for the points being on their curves.
pub fn read(bytes: &[u8], k: u32) -> Result<Powers, SrsError> {
    match bytes.strip_prefix(PTAU) {
        Some(rest) => read_ptau(rest, k),
        None => read_halo2(bytes, k),
    }
}

/// k, powers, Lagrange basis, generator and secret in G2.
fn read_halo2(bytes: &[u8], k: u32) -> Result<Powers, SrsError> {
    let mut reader = Reader(Cursor::new(bytes));
    let has = reader.word()?;
    if has > MAX_K || bytes.len() != 4 + 2 * (G1_BYTES << has) + 2 * G2_BYTES {
        return Err(SrsError::Format("its length is not that of its k"));
    }
    if has < k {
        return Err(SrsError::Power { need: k, has });
    }
    let mut g1: Vec<G1Affine> = reader.points("G1", 1 << has)?;
    let lagrange: Vec<G1Affine> = reader.points("G1 Lagrange", 1 << has)?;
    let g2: Vec<G2Affine> = reader.points("G2", 2)?;
    g1.truncate(1 << k);
    Ok(Powers {
        k,
        g1,
        // A larger domain's basis is of no use for a smaller one.
        lagrange: (has == k).then_some(lagrange),
        g2: g2[0],
        secret_g2: g2[1],
    })
}

/// Version, sections: header, powers in G1, powers in G2, and others.
fn read_ptau(bytes: &[u8], k: u32) -> Result<Powers, SrsError> {
    let mut reader = Reader(Cursor::new(bytes));
    if reader.word()? != 1 {
        return Err(SrsError::Format("an unknown .ptau version"));
    }
    let (mut has, mut g1, mut g2) = (None, None, None);
    for _ in 0..reader.word()? {
        let kind = reader.word()?;
        let size = reader.long()?;
        let section = reader.section(size)?;
        let mut section = Reader(Cursor::new(section));
        match kind {
            HEADER => has = Some(section.ptau_header()?),
            TAU_G1 if size >= (G1_BYTES as u64) << k.min(MAX_K) => {
                g1 = Some(section.points("G1", 1 << k)?);
            }
            TAU_G2 => g2 = Some(section.points::<G2Affine>("G2", 2)?),
            _ => (),
        }
    }
    let has = has.ok_or(SrsError::Format("no header section"))?;
    if has < k {
        return Err(SrsError::Power { need: k, has });
    }
    let g2 = g2.ok_or(SrsError::Format("no section of powers in G2"))?;
    Ok(Powers {
        k,
        g1: g1.ok_or(SrsError::Format("no section of powers in G1"))?,
        lagrange: None,
        g2: g2[0],
        secret_g2: g2[1],
    })
}

struct Reader<'a>(Cursor<&'a [u8]>);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], SrsError> {
        let mut array = [0; N];
        let read = self.0.read_exact(&mut array);
        read.map_err(|_| SrsError::Format("it ends too early"))?;
        Ok(array)
    }

    fn word(&mut self) -> Result<u32, SrsError> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, SrsError> {
        self.array().map(u64::from_le_bytes)
    }

    fn section(&mut self, size: u64) -> Result<&'a [u8], SrsError> {
        let start = self.0.position();
        let bytes: &'a [u8] = self.0.get_ref();
        let end = start.checked_add(size);
        let section = end.and_then(|end| bytes.get(start as usize..end as usize));
        self.0
            .set_position(start + section.map_or(0, |it| it.len() as u64));
        section.ok_or(SrsError::Format("a section ends after the file"))
    }

    /// The field's size and modulus, and the number of powers.
    fn ptau_header(&mut self) -> Result<u32, SrsError> {
        if self.word()? != 32 {
            return Err(SrsError::Curve);
        }
        let modulus: [u8; 32] = self.array()?;
        let mut last = (-Fq::ONE).to_repr();
        // The modulus is odd, so adding one to the last element does not carry.
        last.as_mut()[0] += 1;
        if modulus != last.as_ref() {
            return Err(SrsError::Curve);
        }
        let power = self.word()?;
        match power <= MAX_K {
            true => Ok(power),
            false => Err(SrsError::Format("more powers than any ceremony has")),
        }
    }

    /// Reading checks that coordinates are canonical, not that they are a point's.
    fn points<P: SerdeObject + CurveAffine>(
        &mut self,
        group: &'static str,
        count: usize,
    ) -> Result<Vec<P>, SrsError> {
        let point = |index| {
            let read = P::read_raw(&mut self.0).ok();
            let point = read.filter(|point| bool::from(point.is_on_curve()));
            point.ok_or(SrsError::Point { group, index })
        };
        (0..count).map(point).collect()
    }
}
