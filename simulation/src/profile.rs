//! What a seed decides once: how large the cluster is, how slow everything is, and which faults there are. Each run has
//! a random part of the faults only, so that some runs go deep where others go wide.

use std::time::Duration;

use crate::faults::Fault;
use crate::random::Random;
use crate::trouble::{Nuisance, Without};

#[derive(Clone, Debug)]
pub struct Profile {
    pub servers: usize,
    pub agents: usize,
    pub clients: usize,
    pub jobs: usize,
    pub agent_ttl: Duration,
    /// A node of another setting among the others.
    pub other_agent_ttl: Option<Duration>,
    pub faults: Vec<Fault>,
    /// From one fault to the next, on average.
    pub fault_every: Duration,
    pub client_every: Duration,
    /// One way, usually.
    pub network_delay: Duration,
    pub slow_messages: f64,
    pub ledger_delay: Duration,
    pub slow_statements: f64,
    pub answers_lost: f64,
    pub refused_unapplied: f64,
    pub proofs_lost: f64,
    /// On the way there, or on the way back.
    pub keep_alives_lost: f64,
    /// The coordinator keeps a lease for longer than it says.
    pub leases_late: f64,
    pub lock_calls_lost: f64,
    pub lock_calls_repeated: f64,
    /// Machines that die without a word, and tasks that do not end when they are told to.
    pub silent_deaths: bool,
    pub stuck_tasks: bool,
    pub schedules: Schedules,
    /// Only what the control plane is made of fails, one thing at a time: running tasks must outlive it (promise 6).
    pub must_outlive: bool,
    /// A directed case: clocks are right, machines alike, and nothing is left to chance.
    pub is_directed: bool,
}

/// Which kinds of schedules the clients like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schedules {
    Mixed,
    Dense,
    Sparse,
}

impl Profile {
    pub fn of(random: &mut Random) -> Self {
        let sometimes = |random: &mut Random, probability: f64, most: u64| {
            if random.chance(probability) { random.below(most) as f64 / 1_000.0 } else { 0.0 }
        };
        let faults = Fault::ALL.iter().copied().filter(|_| random.chance(0.45)).collect();
        let ttls = [Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(10)];
        let any = Self {
            servers: random.pick(&[1, 2, 2, 3, 3]),
            agents: random.pick(&[1, 2, 2, 3, 4]),
            clients: random.pick(&[1, 2, 3]),
            jobs: random.pick(&[1, 2, 3, 4, 5]),
            agent_ttl: random.pick(&ttls),
            other_agent_ttl: random.chance(0.25).then(|| random.pick(&ttls)),
            faults,
            fault_every: random.millis(400, 8_000),
            client_every: random.millis(200, 4_000),
            network_delay: Duration::from_micros(random.pick(&[100, 500, 2_000, 20_000])),
            slow_messages: sometimes(random, 0.4, 60),
            ledger_delay: Duration::from_micros(random.pick(&[200, 1_000, 5_000, 40_000])),
            slow_statements: sometimes(random, 0.4, 100),
            answers_lost: sometimes(random, 0.5, 80),
            refused_unapplied: sometimes(random, 0.4, 80),
            proofs_lost: sometimes(random, 0.4, 100),
            keep_alives_lost: sometimes(random, 0.4, 600),
            leases_late: sometimes(random, 0.4, 300),
            lock_calls_lost: sometimes(random, 0.4, 100),
            lock_calls_repeated: sometimes(random, 0.4, 100),
            silent_deaths: true,
            stuck_tasks: true,
            is_directed: false,
            must_outlive: false,
            schedules: random.pick(&[Schedules::Mixed, Schedules::Mixed, Schedules::Dense, Schedules::Sparse]),
        };
        if random.below(8) == 0 { any.with_the_control_plane_failing(random) } else { any }
    }

    /// What promise 6 is given for: processes of servers that end or freeze, while others live; and an outage of the
    /// ledger or of the coordinator. A TTL leaves time for a fail-over, as the default does.
    fn with_the_control_plane_failing(self, random: &mut Random) -> Self {
        use Fault::{FreezeLeader, FreezeServer, KillLeader, KillServer, StopLeader, StopServer};
        let outage = random.pick(&[Fault::LedgerOutage, Fault::CoordinatorOutage]);
        let mut profile = Self {
            servers: self.servers.max(2),
            agent_ttl: Duration::from_secs(10),
            other_agent_ttl: None,
            faults: vec![KillServer, KillLeader, StopServer, StopLeader, FreezeServer, FreezeLeader, outage, outage],
            fault_every: random.millis(400, 3_000),
            must_outlive: true,
            ..self
        };
        profile.spare_rates();
        profile.spare(Nuisance::StuckTask);
        profile
    }

    /// A cluster in which nothing goes wrong unless a directed case says so.
    pub fn calm(servers: usize, agents: usize) -> Self {
        Self {
            servers,
            agents,
            clients: 0,
            jobs: 1,
            agent_ttl: Duration::from_secs(10),
            other_agent_ttl: None,
            faults: Vec::new(),
            fault_every: Duration::from_secs(1),
            client_every: Duration::from_secs(1),
            network_delay: Duration::from_micros(500),
            slow_messages: 0.0,
            ledger_delay: Duration::from_micros(500),
            slow_statements: 0.0,
            answers_lost: 0.0,
            refused_unapplied: 0.0,
            proofs_lost: 0.0,
            keep_alives_lost: 0.0,
            leases_late: 0.0,
            lock_calls_lost: 0.0,
            lock_calls_repeated: 0.0,
            silent_deaths: false,
            stuck_tasks: false,
            schedules: Schedules::Mixed,
            must_outlive: false,
            is_directed: true,
        }
    }

    /// Without some of the trouble.
    pub(crate) fn leave_out(&mut self, without: Without) {
        self.faults.retain(|fault| !without.has(fault.name()));
        for nuisance in Nuisance::ALL.iter().filter(|nuisance| without.has(nuisance.name())) {
            self.spare(*nuisance);
        }
    }

    fn spare(&mut self, nuisance: Nuisance) {
        match nuisance {
            Nuisance::SlowMessage => self.slow_messages = 0.0,
            Nuisance::SlowStatement => self.slow_statements = 0.0,
            Nuisance::AnswerLost => self.answers_lost = 0.0,
            Nuisance::CallRefused => self.refused_unapplied = 0.0,
            Nuisance::ProofLost => self.proofs_lost = 0.0,
            Nuisance::KeepAliveLost => self.keep_alives_lost = 0.0,
            Nuisance::LeaseLate => self.leases_late = 0.0,
            Nuisance::LockCallLost => self.lock_calls_lost = 0.0,
            Nuisance::LockCallRepeated => self.lock_calls_repeated = 0.0,
            Nuisance::HalfOpen => self.silent_deaths = false,
            Nuisance::StuckTask => self.stuck_tasks = false,
        }
    }

    /// What goes wrong at some rate goes wrong no more.
    fn spare_rates(&mut self) {
        let are_no_rates = [Nuisance::HalfOpen, Nuisance::StuckTask];
        for nuisance in Nuisance::ALL.iter().filter(|nuisance| !are_no_rates.contains(nuisance)) {
            self.spare(*nuisance);
        }
    }

    /// No more trouble.
    pub(crate) fn calm_down(&mut self) {
        self.spare_rates();
        self.faults.clear();
        self.network_delay = self.network_delay.min(Duration::from_millis(2));
        self.ledger_delay = self.ledger_delay.min(Duration::from_millis(5));
    }
}
