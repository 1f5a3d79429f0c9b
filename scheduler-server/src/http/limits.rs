//! What clients may use up, and who has how many connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What clients may use up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Number of open connections; one more is answered that there are too many.
    pub connections: usize,
    /// Number of them that one address may have, or one network of 64 bits over IPv6.
    pub connections_per_address: usize,
    /// Time in which a connection must have become TLS.
    pub handshake: Duration,
    /// Number of requests that one HTTP/2 connection may have open.
    pub streams: u32,
    /// Number of requests of one HTTP/2 connection that are taken back before they were looked at; one more ends it.
    pub resets: usize,
    /// Bytes of a request's head: more is answered with 431.
    pub head_bytes: u32,
    /// Time in which the head of a request must be there; HTTP/1.1 connections idle no longer than this.
    pub head: Duration,
    /// Time in which a client must take something of an answer that waits for it.
    pub unread: Duration,
    /// Time after which an HTTP/2 connection without a request is asked to close; it is looked at this often.
    pub idle: Duration,
    /// Time after which a silent HTTP/2 connection is asked whether it lives.
    pub keep_alive: Duration,
    /// Time for the answer to that.
    pub keep_alive_answer: Duration,
    /// Time that connections have to finish once the server drains.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            connections_per_address: 1_000,
            handshake: Duration::from_secs(10),
            streams: 1_000,
            resets: 20,
            head_bytes: 32 << 10,
            head: Duration::from_secs(30),
            unread: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            keep_alive: Duration::from_secs(20),
            keep_alive_answer: Duration::from_secs(20),
            drain: Duration::from_secs(10),
        }
    }
}

/// The connections that are open.
pub(super) struct Places {
    connections: usize,
    per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Why there is no place for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Server,
    Client,
}

/// A connection's place; it is free again with the end of this value.
pub(super) struct Place {
    places: Arc<Places>,
    client: IpAddr,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let (connections, per_address) = (limits.connections, limits.connections_per_address);
        Arc::new(Self { connections, per_address, taken: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let client = client(address);
        let mut taken = self.taken();
        if taken.all >= self.connections {
            return Err(Full::Server);
        }
        let own = taken.by_client.entry(client).or_default();
        if *own >= self.per_address {
            return Err(Full::Client);
        }
        *own += 1;
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), client })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

/// Whoever has an address of IPv6 has the 2^64 of its network.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_does_not_take_all_the_places() {
        let places = Places::new(&Limits { connections: 3, connections_per_address: 2, ..Limits::default() });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = places.take(address("10.0.0.1")).ok().unwrap();
        let _second = places.take(address("::ffff:10.0.0.1")).ok().unwrap();
        assert_eq!(places.take(address("10.0.0.1")).err(), Some(Full::Client));
        let _other = places.take(address("10.0.0.2")).ok().unwrap();
        assert_eq!(places.take(address("10.0.0.3")).err(), Some(Full::Server));
        drop(first);
        assert!(places.take(address("10.0.0.1")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_place_that_is_left_is_forgotten() {
        let places = Places::new(&Limits { connections_per_address: 1, ..Limits::default() });
        let place = places.take("fd00::1".parse().unwrap()).ok().unwrap();
        assert_eq!(places.take("fd00::2".parse().unwrap()).err(), Some(Full::Client));
        assert!(places.take("fd00:0:0:1::2".parse().unwrap()).is_ok());
        drop(place);
        assert!(places.taken().by_client.is_empty() && places.taken().all == 0);
    }
}
