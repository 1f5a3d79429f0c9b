//! The physical limit of a durable ledger: how often a second a write can be made to reach the disk.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::clock::Watch;

const MEASURED: Duration = Duration::from_secs(2);
/// The log of SQLite grows by pages of this size, and so does this file.
const PAGE: [u8; 4_096] = [7; 4_096];
/// Written over again and again, as SQLite does with its log: a file that grows would cost more.
const PAGES: u32 = 2_048;

/// Syncs of one writer, one after the other, on the file system of a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syncs {
    pub(crate) per_second: f64,
}

impl Syncs {
    /// Takes two seconds; nothing else should be writing there.
    pub(crate) fn measure(folder: &Path) -> Result<Self> {
        let path = folder.join("syncs");
        let mut file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        for _ in 0..PAGES {
            file.write_all(&PAGE)?;
        }
        file.sync_all()?;
        let watch = Watch::start();
        let mut syncs = 0_u32;
        while watch.elapsed() < MEASURED {
            if syncs.is_multiple_of(PAGES) {
                file.seek(SeekFrom::Start(0))?;
            }
            file.write_all(&PAGE)?;
            file.sync_data()?;
            syncs += 1;
        }
        let per_second = f64::from(syncs) / watch.elapsed().as_secs_f64();
        std::fs::remove_file(&path)?;
        Ok(Self { per_second })
    }

    /// How long one takes.
    pub(crate) fn period(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}
