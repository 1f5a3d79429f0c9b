//! The servers that are known, and when each may be tried again.

use std::time::Duration;

use crate::time::Boot;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// A redirect that follows so many is put off no longer than this one (800 ms): while servers do not know of an election yet
/// they send agents in circles, and tasks live on what is left of the right to run.
const SLOWEST_HOP: u32 = 4;
/// Addresses learned from Redirects that are kept.
const LEARNED: usize = 16;

#[derive(Debug)]
pub(super) struct Servers {
    known: Vec<Server>,
    configured: usize,
    /// Where a Redirect said the leader is.
    preferred: Option<usize>,
    /// The one to try first when there is no better idea.
    next: usize,
    seed: u64,
}

#[derive(Debug)]
struct Server {
    address: String,
    failures: u32,
    retry_at: Boot,
}

impl Servers {
    pub(super) fn new(addresses: &[String], seed: u64) -> Self {
        let known: Vec<_> = addresses.iter().map(|address| Server::new(address)).collect();
        assert!(!known.is_empty(), "an agent needs a server's address");
        Self { configured: known.len(), known, preferred: None, next: 0, seed }
    }

    pub(super) fn address(&self, server: usize) -> &str {
        &self.known[server].address
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.known.iter().map(|server| server.address.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether every server has failed since it last worked.
    pub(super) fn have_all_failed(&self) -> bool {
        self.known.iter().all(|server| server.failures > 0)
    }

    /// The best server to try now, if one may be tried.
    pub(super) fn pick(&mut self, now: Boot) -> Option<usize> {
        let rotation = (0..self.known.len()).map(|step| (self.next + step) % self.known.len());
        let picked = self.preferred.into_iter().chain(rotation).find(|&server| self.may_try(server, now))?;
        self.next = (picked + 1) % self.known.len();
        Some(picked)
    }

    pub(super) fn may_try(&self, server: usize, now: Boot) -> bool {
        self.known[server].retry_at <= now
    }

    pub(super) fn retry_at(&self, server: usize) -> Boot {
        self.known[server].retry_at
    }

    /// It could not be reached, or its stream broke.
    pub(super) fn failed(&mut self, server: usize, now: Boot) {
        let failures = self.known[server].failures.saturating_add(1);
        let delay = self.delay(failures);
        let server = &mut self.known[server];
        server.failures = failures;
        server.retry_at = now + delay;
    }

    /// It was reached, though it does not lead.
    pub(super) fn answered(&mut self, server: usize) {
        self.known[server].failures = 0;
    }

    pub(super) fn worked(&mut self, server: usize) {
        self.known[server].failures = 0;
        self.preferred = Some(server);
    }

    /// `from` says that the leader is at `address`. Where servers keep sending the agent on, it goes slower. The server that is
    /// there, if there is an address.
    pub(super) fn redirected(&mut self, from: usize, address: &str, hops: u32, now: Boot) -> Option<usize> {
        let delay = self.delay(hops.clamp(1, SLOWEST_HOP));
        self.known[from].retry_at = now + delay;
        if address.is_empty() {
            return None;
        }
        let found = self.known.iter().position(|server| server.address == address);
        let target = found.unwrap_or_else(|| self.learn(address));
        if hops > 3 {
            // Once: redirects that come before it is tried must not put it off for ever.
            if self.known[target].retry_at <= now {
                self.known[target].retry_at = now + delay;
            }
        } else if self.known[target].failures == 0 {
            self.known[target].retry_at = now;
        }
        self.preferred = Some(target);
        Some(target)
    }

    fn learn(&mut self, address: &str) -> usize {
        if self.known.len() < self.configured + LEARNED {
            self.known.push(Server::new(address));
            return self.known.len() - 1;
        }
        let last = self.known.len() - 1;
        self.known[last] = Server::new(address);
        last
    }

    /// 100 ms doubling to 2 s, of which the upper half is chance, so that agents do not come back in step.
    fn delay(&mut self, failures: u32) -> Duration {
        let whole = FIRST_DELAY.saturating_mul(1 << (failures - 1).min(5)).min(LONGEST_DELAY);
        whole.mul_f64(0.5 + self.random() / 2.0)
    }

    /// One step of splitmix64, as a number in [0, 1).
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bits = (mixed ^ (mixed >> 31)) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }
}

impl Server {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), failures: 0, retry_at: Boot::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::new(&["a".to_owned(), "b".to_owned()], 1)
    }

    #[test]
    fn a_dead_server_is_tried_ever_more_rarely_down_to_every_two_seconds() {
        let mut servers = Servers::new(&["a".to_owned()], 1);
        let mut last = Duration::ZERO;
        for failures in 1..12u32 {
            servers.failed(0, Boot(0));
            let delay = servers.retry_at(0).since(Boot(0));
            let whole = FIRST_DELAY.saturating_mul(1 << (failures - 1).min(20)).min(LONGEST_DELAY);
            assert!(delay >= whole / 2 && delay <= whole, "failure {failures}: {delay:?}");
            last = delay;
        }
        assert!(last >= Duration::from_secs(1));
        assert_eq!(servers.pick(Boot(0)), None);
    }

    #[test]
    fn a_redirect_is_followed_at_once_and_a_circle_is_slowed_down() {
        let mut servers = servers();
        servers.redirected(0, "c", 1, Boot(0));
        let target = servers.pick(Boot(0)).expect("the leader may be tried at once");
        assert_eq!(servers.address(target), "c");
        servers.redirected(target, "a", 4, Boot(0));
        assert_eq!(servers.pick(Boot(0)).map(|server| servers.address(server).to_owned()).as_deref(), Some("b"));
    }

    #[test]
    fn a_leader_that_others_keep_pointing_to_is_tried_before_long() {
        let mut servers = Servers::new(&["a".to_owned(), "b".to_owned(), "c".to_owned()], 1);
        let mut now = Boot(0);
        for hops in 4..40 {
            servers.redirected(usize::from(hops % 2 == 0), "c", hops, now);
            if servers.may_try(2, now + Duration::from_millis(900)) {
                return;
            }
            now = now + Duration::from_millis(900);
        }
        panic!("the leader is never tried");
    }

    #[test]
    fn a_circle_is_never_slowed_down_by_more_than_800_ms() {
        let mut servers = servers();
        servers.redirected(0, "b", 1_000, Boot(0));
        assert!(servers.pick(Boot(0) + Duration::from_millis(800)).is_some());
    }

    #[test]
    fn addresses_that_servers_make_up_do_not_fill_the_memory() {
        let mut servers = servers();
        for n in 0..1000 {
            servers.redirected(0, &format!("http://{n}"), 1, Boot(0));
        }
        assert_eq!(servers.len(), 2 + LEARNED);
    }
}
