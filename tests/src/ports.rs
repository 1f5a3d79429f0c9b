//! Loopback ports that nobody else takes while a test stops and starts its server.

use std::fs::{self, File};
use std::net::TcpListener;

/// Below the ephemeral range: while a server is down, no outgoing connection is given its port.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of this test, as long as this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Keeps the other test processes of this machine off it.
    _lock: File,
}

impl Port {
    pub fn free() -> Self {
        let locks = std::env::temp_dir().join("punctual-test-ports");
        fs::create_dir_all(&locks).expect("because the temporary folder can be written to");
        // Tests that start together begin their search far from each other.
        let begin = std::process::id().wrapping_mul(7_919) as usize % RANGE.len();
        let found = RANGE.clone().cycle().skip(begin).take(RANGE.len()).find_map(|number| {
            let lock = File::create(locks.join(number.to_string())).ok()?;
            lock.try_lock().ok()?;
            TcpListener::bind(("127.0.0.1", number)).ok()?;
            Some(Self { number, _lock: lock })
        });
        found.expect("because not every port is taken")
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
