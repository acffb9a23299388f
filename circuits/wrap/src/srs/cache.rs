//! Files that are made once: each begins with the digest of the rest, so that a corrupt one is
//! told from a good one and made again.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use halo2_proofs::halo2curves::bn256::Bn256;
use halo2_proofs::poly::commitment::Params as _;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;

use super::{Powers, Srs, SrsError, keccak, raw};
use crate::layers::Progress;

const DIGEST: usize = 32;

/// A directory of such files.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

/// What is found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Good(Vec<u8>),
    Corrupt,
    Missing,
}

impl Cache {
    pub fn open(dir: &Path) -> Result<Self, SrsError> {
        let opened = fs::create_dir_all(dir);
        opened.map_err(|source| SrsError::Read {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn find(&self, name: &str) -> Result<Found, SrsError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => match bytes.split_at_checked(DIGEST) {
                Some((digest, content)) if keccak(&[content]) == digest => {
                    Ok(Found::Good(content.to_vec()))
                }
                _ => Ok(Found::Corrupt),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
            Err(source) => Err(SrsError::Read { path, source }),
        }
    }

    /// Whole or not at all: written beside, then renamed.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, SrsError> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!("{name}.{}", std::process::id()));
        let written = fs::write(&beside, [&keccak(&[content])[..], content].concat());
        let renamed = written.and_then(|()| fs::rename(&beside, &path));
        renamed.map_err(|source| SrsError::Read {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// Makes the insecure setup.
    pub fn make_development(&self, k: u32) -> Result<(Srs, PathBuf), SrsError> {
        let srs = Srs::development(k);
        let path = self.put(&name(k, true), &raw(&srs.params))?;
        Ok((srs, path))
    }

    /// Reads, checks and keeps a setup.
    pub fn import(
        &self,
        file: &Path,
        k: u32,
        progress: &impl Progress,
    ) -> Result<(Srs, PathBuf), SrsError> {
        progress.step("reading the file");
        let bytes = fs::read(file).map_err(|source| SrsError::Read {
            path: file.to_owned(),
            source,
        })?;
        let powers: Powers = super::read(&bytes, k)?;
        let srs = Srs::check(powers, progress)?;
        let path = self.put(&name(k, srs.is_development), &raw(&srs.params))?;
        Ok((srs, path))
    }

    /// The imported setup, else the insecure one. A corrupt insecure one is made again; a corrupt
    /// import can only be imported again.
    pub fn setup(&self, k: u32, progress: &impl Progress) -> Result<Srs, SrsError> {
        for is_development in [false, true] {
            let name = name(k, is_development);
            match self.find(&name)? {
                Found::Good(content) => return read_own(&content, k, is_development),
                Found::Corrupt if is_development => {
                    progress.step("the cached development setup is corrupt: making it again");
                    return self.make_development(k).map(|(srs, _)| srs);
                }
                Found::Corrupt => {
                    let path = self.dir.join(name);
                    return Err(SrsError::Corrupt { path });
                }
                Found::Missing => (),
            }
        }
        Err(SrsError::Missing {
            k,
            dir: self.dir.clone(),
        })
    }
}

fn name(k: u32, is_development: bool) -> String {
    let kind = if is_development { "dev" } else { "imported" };
    format!("srs-{kind}-{k}.bin")
}

/// A file that was checked before it was put here, and whose digest matches.
fn read_own(content: &[u8], k: u32, is_development: bool) -> Result<Srs, SrsError> {
    let read = ParamsKZG::<Bn256>::read(&mut Cursor::new(content));
    let params = read.map_err(|_| SrsError::Format("the cached setup is cut off"))?;
    if params.k() != k {
        return Err(SrsError::Power {
            need: k,
            has: params.k(),
        });
    }
    // The secret tells, not the file's name.
    let is_development = is_development || params.s_g2() == super::development_secret_g2();
    Ok(Srs {
        digest: keccak(&[content]),
        params,
        is_development,
    })
}
